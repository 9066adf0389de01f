"""What the handbook says is so: its commands do what they promise, and what it names exists."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import requests

from tests.databases import MariadbProcess, own_mariadb  # noqa: F401
from tests.deploy.settings import names_of_settings
from tests.owned import program
from tests.processes import ROOT, ServerProcess
from tests.servers import PASSWORD

TEXT = (ROOT / "docs" / "operations.md").read_text("utf-8")
SQLITE, MYSQL, FILES = (
    block.strip().splitlines() for block in re.findall(r"^```sh\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)
)
"""Each two lines: out and back."""


def test_a_restored_backup_has_everything_and_nothing_newer(tmp_path: Path) -> None:
    """SQLite and the files beside it, as the handbook has them."""
    server = ServerProcess(tmp_path / "data").start()
    _sign_up(server, "before")
    secret = (tmp_path / "data" / "secret-key").read_text()
    (tmp_path / "backup").mkdir()
    for line in (SQLITE[0], FILES[0]):
        _do(line, tmp_path)
    _sign_up(server, "after")
    server.stop()
    for path in (tmp_path / "data").iterdir():
        if not path.name.startswith("parley.sqlite3") and path.is_file():
            path.unlink()
    for line in (SQLITE[1], FILES[1]):
        _do(line, tmp_path)
    server.start()
    assert [_may_sign_in(server, name) for name in ("before", "after")] == [True, False]
    assert (tmp_path / "data" / "secret-key").read_text() == secret
    server.stop()


def test_a_mysql_comes_back_by_its_own_programs(tmp_path: Path, own_mariadb: MariadbProcess) -> None:  # noqa: F811
    """Into another database, so that nothing of the old one can help."""
    server = ServerProcess(tmp_path / "data", DATABASE_URL=own_mariadb.url("parley")).start()
    _sign_up(server, "before")
    (tmp_path / "backup").mkdir()
    where = {"HOST": "127.0.0.1", "PORT": str(own_mariadb.port), "USER": "root"}
    _do(MYSQL[0], tmp_path, **where, DATABASE="parley")
    server.stop()
    own_mariadb.execute("CREATE DATABASE again CHARACTER SET utf8mb4")
    _do(MYSQL[1], tmp_path, **where, DATABASE="again")
    server = ServerProcess(tmp_path / "data", DATABASE_URL=own_mariadb.url("again")).start()
    assert _may_sign_in(server, "before")
    server.stop()


def test_settings_it_names_exist() -> None:
    """Every word in capitals that looks like one."""
    others = {"LISTEN_FDS"}
    named = set(re.findall(r"`([A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+)(?:=[^`]*)?`", TEXT))
    assert len(named) > 8
    assert named - others <= names_of_settings()


def test_log_lines_it_names_are_written() -> None:
    """Somewhere in the code, with the same first words."""
    table = TEXT.partition("| message begins with |")[2].partition("## Alarms")[0]
    firsts = re.findall(r"^\| (`.*?) \|", table, re.MULTILINE)
    messages = [message for first in firsts for message in re.findall(r"`([^`]+)`", first)]
    assert len(messages) > 5
    code = "".join(
        path.read_text("utf-8") for name in ("services", "sockets", "db") for path in (ROOT / name).rglob("*.py")
    )
    assert [message for message in messages if f'"{message}' not in code] == []


def _do(line: str, folder: Path, **env: str) -> None:
    """A line of the handbook, from the program's folder."""
    program("mysqldump", "mariadb-client")
    done = subprocess.run(
        ["sh", "-ec", line.replace("backup/", f"{folder}/backup/")],
        cwd=ROOT,
        env={
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "DATA_DIR": str(folder / "data"),
            "HOME": str(folder),
            **env,
        },
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"


def _sign_up(server: ServerProcess, name: str) -> None:
    answer = requests.post(
        f"{server.address}/v1/auth/register", json={"username": name, "password": PASSWORD}, timeout=20
    )
    assert answer.status_code == 201, answer.text


def _may_sign_in(server: ServerProcess, name: str) -> bool:
    form = {"username": name, "password": PASSWORD}
    return requests.post(f"{server.address}/v1/auth/login", json=form, timeout=20).ok
