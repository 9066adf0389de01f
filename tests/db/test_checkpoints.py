"""What was committed moves from SQLite's log into the database, off the hub's thread."""

from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path

from sqlalchemy import create_engine

from db.checkpoints import start_checkpoints
from db.engine import make_engine
from db.models import User
from db.unit_of_work import UnitOfWork


def stored_without_log(path: Path) -> int:
    """The users in the database file alone, as a machine that lost its log would find it."""
    alone = path.with_name("alone.sqlite3")
    shutil.copyfile(path, alone)
    with sqlite3.connect(alone) as connection:
        (count,) = connection.execute("SELECT count(*) FROM user").fetchone()
    connection.close()
    return int(count)


def test_a_checkpoint_moves_what_was_committed(sqlite_url: str, tmp_path: Path) -> None:
    """Before it the database file lacks the rows, after it has them; closing moves the rest."""
    path = tmp_path / "parley.sqlite3"
    engine = make_engine(sqlite_url)
    uow = UnitOfWork(engine)
    checkpoints = start_checkpoints(engine, interval_s=3600)
    assert checkpoints is not None

    for number in range(3):
        with uow() as session:
            session.add(User(id=f"u{number}", name="Ann", guest=True, created_ms=0))
        assert stored_without_log(path) == number
        checkpoints.checkpoint()
        assert stored_without_log(path) == number + 1

    with uow() as session:
        session.add(User(id="last", name="Ann", guest=True, created_ms=0))
    checkpoints.close()
    assert stored_without_log(path) == 4
    engine.dispose()


def test_a_reader_delays_a_checkpoint_and_loses_nothing(sqlite_url: str, tmp_path: Path) -> None:
    path = tmp_path / "parley.sqlite3"
    engine = make_engine(sqlite_url)
    uow = UnitOfWork(engine)
    checkpoints = start_checkpoints(engine, interval_s=3600)
    assert checkpoints is not None
    reader = sqlite3.connect(path, isolation_level=None)
    reader.execute("BEGIN")
    reader.execute("SELECT count(*) FROM user").fetchone()

    with uow() as session:
        session.add(User(id="u1", name="Ann", guest=True, created_ms=0))
    checkpoints.checkpoint()
    reader.execute("COMMIT")
    reader.close()
    checkpoints.checkpoint()

    assert stored_without_log(path) == 1
    checkpoints.close()
    engine.dispose()


def test_a_server_needs_none(migrated_mariadb_url: str) -> None:
    assert start_checkpoints(create_engine(migrated_mariadb_url)) is None
