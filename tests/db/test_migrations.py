"""The migrations lead to what the models say, on every kind of database."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from alembic.script import ScriptDirectory
from sqlalchemy import Engine, text

from db import __main__ as command
from db import migrate
from db.engine import make_engine
from db.migrate import _config
from tests.processes import ROOT


def test_models_and_migrations_agree(engine: Engine) -> None:
    """A column that only one of the two has is an error at the next commit, not at the next start."""
    assert migrate.differences(engine) == []


def test_a_difference_is_found(engine: Engine) -> None:
    """The comparison above is not blind."""
    if engine.dialect.name == "sqlite":
        with engine.begin() as connection:
            connection.execute(text("ALTER TABLE message ADD COLUMN mood VARCHAR(8)"))

        assert [kind for kind, *_ in migrate.differences(engine)] == ["remove_column"]


def test_a_second_upgrade_changes_nothing(sqlite_url: str, tmp_path: Path) -> None:
    before = (tmp_path / "parley.sqlite3").read_bytes()

    migrate.upgrade(sqlite_url)

    assert (tmp_path / "parley.sqlite3").read_bytes() == before


def test_the_head_read_off_the_files_is_alembics(engine: Engine) -> None:
    with engine.connect() as connection:
        assert ScriptDirectory.from_config(_config(connection)).get_heads() == [migrate.head()]
    assert migrate.current(engine) == migrate.head()


def test_many_who_start_at_once_upgrade_once(bare_database_url: str) -> None:
    """Whoever comes second waits, and finds it done."""
    command = [sys.executable, "-m", "db", "--url", bare_database_url, "upgrade"]
    starts = [subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True) for _ in range(4)]

    assert [(start.wait(), start.stderr.read()) for start in starts if start.stderr] == [(0, "")] * 4
    engine = make_engine(bare_database_url)
    assert migrate.differences(engine) == []
    engine.dispose()


def test_the_command_checks_a_fresh_database(tmp_path: Path) -> None:
    assert command.main(["--url", f"sqlite:///{tmp_path / 'fresh.sqlite3'}", "check"]) == 0
