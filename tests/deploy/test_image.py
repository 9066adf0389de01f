"""The image: its steps lead to a server that starts without rights, tells its health, and ends when it is told."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import requests

from tests.deploy.images import ROOT, Build
from tests.owned import free_port, wait_until
from tests.redis_server import redis_url  # noqa: F401

NPM = """\
#!{python}
import json, pathlib, shutil, sys
assert sys.argv[1:] == ["ci", "--omit=dev", "--ignore-scripts"]
assert pathlib.Path("package-lock.json").exists()
for target, source in json.loads(pathlib.Path("package.json").read_text())["vendor"].items():
    here, there = pathlib.Path({root!r}, target), pathlib.Path(source)
    there.parent.mkdir(parents=True, exist_ok=True)
    (shutil.copytree if here.is_dir() else shutil.copy)(here, there)
"""
PYTHON = """\
#!{python}
import os, pathlib, sys, sysconfig
if sys.argv[1:] != ["-m", "venv", ".venv"]:
    os.execv({python!r}, [{python!r}, *sys.argv[1:]])
import venv
venv.EnvBuilder(symlinks=True).create(".venv")
(folder,) = pathlib.Path(".venv/lib").glob("python*/site-packages")
(folder / "here.pth").write_text(sysconfig.get_path("purelib"))
pip = pathlib.Path(".venv/bin/pip")
rule = 'test "$*" = "install --no-cache-dir --require-hashes --no-deps -r $6" && test -s "$6"'
pip.write_text(f"#!/bin/sh\\n{rule}\\n")
pip.chmod(0o755)
"""
INSTALL = """\
#!/bin/sh -e
test "$1 $2 $3 $4 $5" = "-d -o parley -g parley"
mkdir -p "$6"
"""
NOTHING = "#!/bin/sh\n"


@pytest.fixture(scope="module")
def build(tmp_path_factory: pytest.TempPathFactory) -> Build:
    """With stand-ins for what needs the internet or root: packages are the ones this test runs with."""
    folder = tmp_path_factory.mktemp("image")
    tools = folder / "tools"
    tools.mkdir()
    scripts = {"npm": NPM, "python": PYTHON, "install": INSTALL, "groupadd": NOTHING, "useradd": NOTHING}
    for name, script in scripts.items():
        (tools / name).write_text(script.replace("{python!r}", repr(sys.executable)).replace(
            "{python}", sys.executable).replace("{root!r}", repr(str(ROOT))))  # fmt: skip
        (tools / name).chmod(0o755)
    return Build(folder, tools=tools)


def test_only_what_the_server_runs_on_is_in_it(build: Build) -> None:
    """No keys, no data, nothing of development; the page's libraries, and every file compiled."""
    app = build.last.path("/app")
    assert not {
        ".git",
        ".env",
        "data",
        "tests",
        "benchmarks",
        "chaos",
        "simulators",
        "node_modules",
        "docs",
        "deploy",
    } & {path.name for path in app.iterdir()}
    for name in json.loads((ROOT / "package.json").read_text())["vendor"]:
        assert (app / name).exists()
    ours = [path for path in app.rglob("*.py") if ".venv" not in path.parts]
    assert len(ours) > 100
    assert not [path for path in ours if not list(path.parent.glob(f"__pycache__/{path.stem}.*.pyc"))]


def test_what_it_says_of_itself(build: Build) -> None:
    """A user by number, who is not root; one port."""
    assert build.last.said["USER"] == "10001:10001"
    assert build.last.said["EXPOSE"] == build.last.env["PORT"]
    assert build.last.said["VOLUME"] == build.last.env["DATA_DIR"]
    assert build.last.said["STOPSIGNAL"] == "SIGTERM"


@pytest.mark.parametrize("workers", [1, 2])
def test_it_starts_is_healthy_and_stops(build: Build, tmp_path: Path, workers: int, redis_url: str) -> None:  # noqa: F811
    """By its own commands, as `docker run` and `docker stop` would use them."""
    image, port = build.last, free_port()
    env = {name: image.translated(value) for name, value in image.env.items()}
    env |= {"PATH": os.environ["PATH"], "PORT": str(port), "FLASK_SECRET_KEY": "x" * 32, "REDIS_PREFIX": str(tmp_path)}
    env |= {"WORKERS": str(workers), "REDIS_URL": redis_url} if workers > 1 else {}

    def is_healthy() -> bool:
        return not subprocess.run(image.command("HEALTHCHECK"), env=env, capture_output=True, timeout=30).returncode

    log = tmp_path / "log"
    with log.open("wb") as output:
        server = subprocess.Popen(
            image.command("CMD"), cwd=image.path(image.workdir), env=env, stdout=output, stderr=output
        )
    try:
        assert not is_healthy()
        wait_until(is_healthy, log.read_text, lambda: server.poll() is None)
        for path in ("", "static/vendor/socket.io.esm.min.js"):
            assert requests.get(f"http://127.0.0.1:{port}/{path}", timeout=10).ok
        server.send_signal(signal.SIGTERM)
        assert server.wait(30) == 0, log.read_text()
        assert image.path("/data/parley.sqlite3").exists()
    finally:
        server.kill()
