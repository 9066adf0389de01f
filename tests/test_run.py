"""Set-up and start, tried on a small clone: real virtual environments, a package of our own, a stand-in for npm."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import zipfile
from contextlib import closing
from pathlib import Path

import pytest

import run

ROOT = Path(__file__).resolve().parents[1]

DATABASE = """\
import pathlib, sqlite3, sys
assert sys.argv[1:] == ["upgrade"]
pathlib.Path("data").mkdir(exist_ok=True)
with sqlite3.connect("data/parley.sqlite3") as connection:
    connection.execute("CREATE TABLE IF NOT EXISTS alembic_version (version_num TEXT)")
    connection.execute("DELETE FROM alembic_version")
    connection.execute("INSERT INTO alembic_version VALUES ('0001')")
with open("steps.log", "a") as log:
    log.write("migrate\\n")
"""
SERVER = """\
import os, signal, sys
import parley_probe
signal.signal(signal.SIGTERM, lambda *_: sys.exit(7))
print("serving", *sys.argv[1:], os.environ["HOST"], flush=True)
signal.pause()
"""
NPM = """\
#!/bin/sh
[ "$1" = --version ] && { echo 10.0.0; exit; }
echo "npm $1" >>steps.log
mkdir -p node_modules/lib/dist && echo 'export {}' >node_modules/lib/lib.js && echo x >node_modules/lib/dist/font.woff2
"""


class Clone:
    """A checkout with everything a set-up touches, small enough to be set up in seconds."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        shutil.copy(ROOT / "run.py", folder)
        shutil.copy(ROOT / "config.py", folder)
        self._write("package.json", json.dumps({"vendor": {
            "static/vendor/lib.js": "node_modules/lib/lib.js", "static/vendor/fonts": "node_modules/lib/dist",
        }}))  # fmt: skip
        self._write("package-lock.json", "{}")
        self._write("db/__init__.py", "")
        self._write("db/__main__.py", DATABASE)
        self._write("db/migrations/versions/0001_first.py", "")
        self._write("server.py", SERVER)
        self._write("bin/npm", NPM).chmod(0o755)
        self.wheel = self._wheel("parley_probe")
        self.pin(hashlib.sha256(self.wheel.read_bytes()).hexdigest())
        engine = hashlib.sha256(self._wheel("parley_engine").read_bytes()).hexdigest()
        self._write("requirements-local.txt", f"parley-engine==1 --hash=sha256:{engine}\n")

    def pin(self, digest: str) -> None:
        self._write("requirements.txt", f"parley-probe==1 --hash=sha256:{digest}\n")

    def has(self, package: str) -> bool:
        """Whether it was installed."""
        return any(self.folder.glob(f".venv/lib/*/site-packages/{package}.py"))

    def start(self, *arguments: str, **env: str) -> subprocess.Popen[str]:
        kept = {"PATH": f"{self.folder / 'bin'}:{os.environ['PATH']}", "LC_ALL": "C.UTF-8", "HOME": str(self.folder)}
        # Nothing but the folder that holds the wheel: no index, no settings of this machine.
        pip = {"PIP_CONFIG_FILE": os.devnull, "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(self.folder / "wheels")}
        return subprocess.Popen(
            [sys.executable, "run.py", *arguments],
            cwd=self.folder,
            env={**kept, **pip, **env},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, *arguments: str, **env: str) -> tuple[int, str]:
        with self.start(*arguments, **env) as process:
            output = process.communicate(timeout=100)[0]
        return process.returncode, output

    def steps(self) -> list[str]:
        return (self.folder / "steps.log").read_text().splitlines()

    def _write(self, name: str, text: str) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
        return path

    def _wheel(self, name: str) -> Path:
        """A package with nothing in it, in the form in which packages are published."""
        metadata = f"Metadata-Version: 2.1\nName: {name.replace('_', '-')}\nVersion: 1\n"
        files = {
            f"{name}.py": b"",
            f"{name}-1.dist-info/METADATA": metadata.encode(),
            f"{name}-1.dist-info/WHEEL": b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        }
        path = self.folder / f"wheels/{name}-1-py3-none-any.whl"
        path.parent.mkdir(exist_ok=True)
        record = f"{name}-1.dist-info/RECORD"
        with zipfile.ZipFile(path, "w") as archive:
            rows = []
            for name, data in files.items():
                archive.writestr(name, data)
                digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
                rows.append(f"{name},sha256={digest},{len(data)}")
            archive.writestr(record, "\n".join([*rows, f"{record},,"]) + "\n")
        return path


@pytest.fixture
def clone(tmp_path: Path) -> Clone:
    return Clone(tmp_path)


def test_a_slim_set_up_leaves_the_local_engines_out_until_they_are_wanted(clone: Clone) -> None:
    """Nothing else differs, and the next plain set-up brings them."""
    assert clone.run("--slim", "setup")[0] == 0
    assert (clone.has("parley_probe"), clone.has("parley_engine")) == (True, False)
    clone.run("reset-password", "ann")
    assert not clone.has("parley_engine")
    assert clone.run("setup")[0] == 0
    assert clone.has("parley_engine")


def test_a_clone_becomes_a_server_and_stays_one(clone: Clone) -> None:
    """The first start does every step, the second none; signals and the exit code are the server's."""
    for _ in range(2):
        with clone.start("--host", "127.0.0.1", "--port", "0") as process:
            assert process.stdout is not None
            output = ""
            for line in process.stdout:
                output += line
                if line.startswith("serving"):
                    process.send_signal(signal.SIGTERM)
        assert process.returncode == 7
        assert output.endswith("serving serve 127.0.0.1\n")
    assert output == "serving serve 127.0.0.1\n"
    assert clone.steps() == ["npm ci", "migrate"]
    assert (clone.folder / "static/vendor/lib.js").is_file()
    assert (clone.folder / "static/vendor/fonts/font.woff2").is_file()


def test_a_cut_off_set_up_heals(clone: Clone) -> None:
    """Whatever is missing or half done is done again, and only that."""
    assert clone.run("setup")[0] == 0
    (clone.folder / ".venv/parley-installing").touch()  # as a power cut in the midst of pip leaves it
    shutil.rmtree(clone.folder / "static/vendor")
    shutil.rmtree(clone.folder / "data")

    code, output = clone.run("setup")

    assert code == 0, output
    assert "Python environment" in output
    assert clone.steps() == ["npm ci", "migrate"] * 2
    assert clone.run("setup") == (0, "")


def test_two_at_once_set_up_once(clone: Clone) -> None:
    """The second waits for the first, then finds nothing to do."""
    both = [clone.start("setup"), clone.start("setup")]
    outputs = [process.communicate(timeout=100)[0] for process in both]
    assert [process.returncode for process in both] == [0, 0], outputs
    assert clone.steps() == ["npm ci", "migrate"]
    assert sum("waiting for it" in output for output in outputs) == 1


def test_a_failed_step_says_what_to_do_and_the_next_start_goes_on(clone: Clone) -> None:
    """No network, then a file that was tampered with, then all is well."""
    right = hashlib.sha256(clone.wheel.read_bytes()).hexdigest()
    offline = {
        "PIP_NO_INDEX": "",
        "PIP_FIND_LINKS": "",
        "PIP_INDEX_URL": "http://127.0.0.1:9/simple",
        "PIP_RETRIES": "0",
    }
    code, output = clone.run("setup", **offline)
    assert code == 1
    assert "could not be reached: check the network or proxy" in output

    clone.pin("0" * 64)
    code, output = clone.run("setup")
    assert code == 1
    assert "is not the one pinned" in output
    assert "Traceback" not in output

    clone.pin(right)
    assert clone.run("setup")[0] == 0


def test_a_wrong_setting_is_refused_before_anything_is_installed(clone: Clone) -> None:
    assert clone.run(PORT="abc") == (1, "\nA setting is wrong. PORT must be a whole number, not 'abc'.\n")
    code, output = clone.run(HOST="0.0.0.0", LC_ALL="zh_CN.UTF-8")
    assert code == 1
    assert "设置有误。FLASK_SECRET_KEY 必须设置" in output
    assert not (clone.folder / ".venv").exists()


def test_a_taken_port_is_told_before_anything_is_installed(clone: Clone) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        code, output = clone.run("--port", str(port))
    assert code == 1
    assert f"127.0.0.1:{port} is taken" in output
    assert f"./run --port {port + 1}" in output
    assert not (clone.folder / ".venv").exists()


def test_the_shell_part_passes_over_pythons_that_do_not_run(tmp_path: Path) -> None:
    """A version manager leaves commands for versions it does not have."""
    shutil.copy(ROOT / "run", tmp_path)
    (tmp_path / "run.py").write_text("import sys; print('started with', *sys.argv[1:])")
    shims = tmp_path / "bin"
    shims.mkdir()
    (shims / "python3.13").write_text("#!/bin/sh\necho 'command not found' >&2; exit 127\n")
    (shims / "python3.12").write_text("#!/bin/sh\nexec /bin/false\n")
    (shims / "python3.11").symlink_to(os.path.realpath(sys.executable))
    for shim in shims.iterdir():
        shim.chmod(0o755)
    env = {"PATH": f"{shims}:/usr/bin:/bin", "HOME": str(tmp_path)}
    done = subprocess.run([tmp_path / "run", "a b"], cwd="/", env=env, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, "started with a b\n", "")


@pytest.mark.parametrize(
    ("output", "said"),
    [
        ("OSError: [Errno 28] No space left on device", "The disk is full"),
        ("npm error code ENOTFOUND", "could not be reached"),
        ("npm error code EINTEGRITY", "is not the one pinned"),
        ("SSLError(SSLCertVerificationError(1, '[SSL: CERTIFICATE_VERIFY_FAILED]", "certificate was not accepted"),
        ("PermissionError: [Errno 13] Permission denied: '/x'", "must belong to you"),
        ("error: command '/usr/bin/gcc' failed with exit code 1", "install a C compiler"),
        ("(1045, \"Access denied for user 'a'@'b'\")", "check DATABASE_URL"),
        ("sqlite3.OperationalError: unable to open database file", "DATA_DIR must be a folder"),
    ],
)
def test_known_causes_are_put_into_words(output: str, said: str) -> None:
    failure = str(run.explain("It failed.", output))
    assert failure.startswith("It failed. ")
    assert said in failure


def test_an_unknown_cause_shows_its_last_lines() -> None:
    failure = str(run.explain("It failed.", "\n".join(f"line {number}" for number in range(20))))
    assert re.findall(r"line \d+", failure) == [f"line {number}" for number in range(12, 20)]


def test_the_revision_of_a_database_file_is_read_without_touching_it(tmp_path: Path) -> None:
    path = tmp_path / "a.sqlite3"
    assert run.sqlite_revision(f"sqlite:///{path}") == ""
    assert not path.exists()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE alembic_version (version_num TEXT)")
        connection.execute("INSERT INTO alembic_version VALUES ('0042')")
        connection.commit()
    assert run.sqlite_revision(f"sqlite:///{path}") == "0042"
    assert run.sqlite_revision("mysql+pymysql://root@127.0.0.1/x") == ""


def test_stamps_survive_a_broken_file(tmp_path: Path) -> None:
    """A stamp that cannot be read means that the step is done again, not that set-up fails."""
    stamps = run.Stamps(tmp_path / "stamps.json")
    stamps.put("a", "1")
    stamps.put("b", "2")
    assert (stamps.get("a"), stamps.get("b"), stamps.get("c")) == ("1", "2", "")
    (tmp_path / "stamps.json").write_text('{"a": ')
    assert stamps.get("a") == ""
    stamps.put("a", "3")
    assert stamps.get("a") == "3"


@pytest.mark.parametrize("name", ["requirements", "requirements-local", "requirements-dev", "requirements-node"])
def test_requirements_are_pinned_hashed_and_name_no_server(name: str) -> None:
    """Each line is a version with hashes; where packages come from is the user's choice."""
    text = (ROOT / f"{name}.txt").read_text("utf-8").replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line.strip()]
    assert lines
    for line in lines:
        assert re.match(r"[\w.-]+==\S+ ( *;[^\\]*?)?( *--hash=sha256:[0-9a-f]{64})+$", line), line


def test_everything_asked_for_is_pinned() -> None:
    """The files people edit and the files made from them agree."""
    for name in ("requirements", "requirements-local", "requirements-dev", "requirements-node"):
        asked = re.findall(r"^([a-z][\w-]+)", (ROOT / f"{name}.in").read_text("utf-8"), re.MULTILINE)
        pinned = re.findall(r"^([a-z][\w-]+)==", (ROOT / f"{name}.txt").read_text("utf-8"), re.MULTILINE)
        assert {package.replace("_", "-").lower() for package in asked} <= set(pinned)


def test_lock_file_names_no_server() -> None:
    lock = json.loads((ROOT / "package-lock.json").read_text("utf-8"))
    entries = {name: entry for name, entry in lock["packages"].items() if name}
    assert all("integrity" in entry and "resolved" not in entry for entry in entries.values())
