"""A backup is one moment of the database; restoring it brings that moment back."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from pathlib import Path

import alembic.command
import pytest

from db import __main__ as command
from db import migrate
from db.backup import backup
from db.engine import make_engine
from db.migrate import _config
from db.models import User
from db.unit_of_work import UnitOfWork
from tests.databases import MariadbProcess
from tests.owned import program
from tests.processes import ROOT, ServerProcess
from tests.viewers import Device

WRITER = (
    "import sys; from db.engine import make_engine; from db.unit_of_work import UnitOfWork\n"
    "from db.models import User\n"
    "uow = UnitOfWork(make_engine(sys.argv[1]))\n"
    "number = 0\n"
    "while True:\n"
    "    with uow() as session:\n"
    "        session.add(User(id=f'{number:09}', name='a', guest=True, created_ms=0))\n"
    "        session.add(User(id=f'{number:09}b', name='b', guest=True, created_ms=0))\n"
    "    number += 1\n"
    "    print(number, flush=True)\n"
)


def users(file: Path) -> list[str]:
    with sqlite3.connect(file) as connection:
        found = [name for (name,) in connection.execute("SELECT id FROM user ORDER BY id")]
    connection.close()
    return found


def test_what_others_write_meanwhile_is_whole_or_absent(sqlite_url: str, tmp_path: Path) -> None:
    """Three backups during transactions of two rows each: never half of one, and each later than the last."""
    writer = subprocess.Popen([sys.executable, "-c", WRITER, sqlite_url], cwd=ROOT, stdout=subprocess.PIPE)
    assert writer.stdout is not None
    written = []
    for number in range(3):
        writer.stdout.readline()
        backup(sqlite_url, tmp_path / f"{number}.backup")
        written.append(len(users(tmp_path / f"{number}.backup")))
    writer.kill()
    writer.wait()
    writer.stdout.close()

    assert written == sorted(written)
    assert written[0] >= 2
    assert not any(count % 2 for count in written)


def test_a_running_server_is_backed_up_and_comes_back(tmp_path: Path) -> None:
    """What was said before the backup is there after the restore, what was said later is kept beside it."""
    server = ServerProcess(tmp_path / "data").start()
    url = f"sqlite:///{tmp_path / 'data' / 'parley.sqlite3'}"
    file = tmp_path / "parley.backup"
    device = Device(server.address).connect()
    before = device.ask("c-1", "hi")["turn"]
    device.seen(before).whole()
    assert command.main(["--url", url, "backup", str(file)]) == 0
    later = device.ask("c-2", "more")["turn"]
    device.seen(later).whole()
    assert command.main(["--url", url, "restore", str(file)]) == 2, "the server runs"
    device.leave()
    server.stop()
    (tmp_path / "data" / "parley.sqlite3").write_bytes(b"damaged" * 1000)

    assert command.main(["--url", url, "restore", str(file)]) == 0

    server.start()
    try:
        device.connect()
        assert device.call("turn_attach", {"turn": later, "epoch": 1, "after": 0})["error"]["code"] == "not_found"
        assert device.attach(before)["status"] == "done"
    finally:
        server.stop()
    assert (tmp_path / "data" / "parley.sqlite3.before-restore").read_bytes().startswith(b"damaged")


def test_an_older_backup_is_brought_up_to_date(sqlite_url: str, tmp_path: Path) -> None:
    older = make_engine(f"sqlite:///{tmp_path / 'older'}")
    with older.connect() as connection:
        alembic.command.upgrade(_config(connection), "0003")
        connection.commit()
    older.dispose()

    assert command.main(["--url", sqlite_url, "restore", str(tmp_path / "older")]) == 0

    engine = make_engine(sqlite_url)
    assert migrate.differences(engine) == []
    engine.dispose()


def test_what_is_no_backup_changes_nothing(sqlite_url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    here, other = tmp_path / "parley.sqlite3", tmp_path / "other"
    before = here.read_bytes()
    other.write_bytes(b"something else" * 1000)

    assert command.main(["--url", sqlite_url, "restore", str(other)]) == 2
    assert command.main(["--url", sqlite_url, "restore", str(tmp_path / "absent")]) == 2
    assert command.main(["--url", sqlite_url, "backup", str(other)]) == 2, "it is not written over"
    assert command.main(["--url", f"sqlite:///{tmp_path}/absent", "backup", str(tmp_path / "new")]) == 2

    assert here.read_bytes() == before
    assert not (tmp_path / "absent").exists()
    assert not (tmp_path / "new").exists()
    assert capsys.readouterr().err


def test_the_commands_told_for_mysql_do_it(
    own_mariadb: MariadbProcess, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """They are printed to be copied; here a shell does."""
    program("mysqldump", "mariadb-client")
    file = tmp_path / "all.sql"
    migrate.upgrade(own_mariadb.url())
    engine = make_engine(own_mariadb.url())
    with UnitOfWork(engine)() as session:
        session.add(User(id="u1", name="春 😀", guest=True, created_ms=0))
    engine.dispose()
    own_mariadb.execute("CREATE DATABASE other CHARACTER SET utf8mb4")

    for name, done in (("parley", "backup"), ("other", "restore")):
        assert command.main(["--url", own_mariadb.url(name), done, str(file)]) == 2
        line = capsys.readouterr().err.splitlines()[1]
        subprocess.run(line, shell=True, check=True)

    engine = make_engine(own_mariadb.url("other"))
    assert migrate.differences(engine) == []
    with UnitOfWork(engine).read() as session:
        user = session.get(User, "u1")
        assert user is not None
        assert user.name == "春 😀"
    engine.dispose()
