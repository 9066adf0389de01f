"""Two releases serve one schema: migrations only add, and a program works on a schema newer than itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, MetaData, inspect, text

from db import migrate
from db.engine import make_engine
from db.errors import DatabaseUnavailable
from db.migrate import _config
from tests.processes import ServerProcess
from tests.viewers import Device

NEXT_RELEASE = (
    "ALTER TABLE message ADD COLUMN mood VARCHAR(8)",
    "ALTER TABLE turn ADD COLUMN hops INTEGER NOT NULL DEFAULT 0",
    "CREATE TABLE badge (id VARCHAR(40) PRIMARY KEY, user_id VARCHAR(40) NOT NULL)",
    "CREATE INDEX ix_message_mood ON message (mood)",
    "UPDATE alembic_version SET version_num = '9999'",
)
"""What a release after this one may do to the schema before every server of this one has gone."""


def run(engine: Engine, *statements: str) -> None:
    with engine.begin() as connection:
        for statement in statements:
            connection.execute(text(statement))


def revisions(engine: Engine) -> list[str]:
    """Every revision, oldest first."""
    with engine.connect() as connection:
        scripts = ScriptDirectory.from_config(_config(connection)).walk_revisions()
        return [script.revision for script in scripts][::-1]


def advance(engine: Engine, revision: str) -> None:
    with engine.connect() as connection:
        command.upgrade(_config(connection), revision)
        connection.commit()


def row_of(table: sa.Table) -> dict[str, Any]:
    """A value for every column a program of that time must give."""
    return {
        column.name: "x" if isinstance(column.type, sa.String) else 1
        for column in table.columns
        if not column.nullable and column.server_default is None
    }


def test_the_release_before_can_write_to_the_schema_after_it(bare_database_url: str) -> None:
    """After each migration a program that knows only the tables before it stores its rows as ever."""
    engine = make_engine(bare_database_url)
    first, *later = revisions(engine)
    advance(engine, first)
    for revision in later:
        before = MetaData()
        before.reflect(engine, only=lambda name, _: not name.startswith(("search_text", "alembic")))
        advance(engine, revision)
        with engine.connect() as connection:
            for table in before.sorted_tables:
                connection.execute(table.insert(), row_of(table))
                assert connection.execute(table.select()).mappings().one().keys() == table.columns.keys()
            connection.rollback()
    engine.dispose()


def test_a_migration_takes_nothing_away(bare_database_url: str) -> None:
    """What a server of the release before may name is still there, and what it may leave empty still may be."""
    engine = make_engine(bare_database_url)
    known: dict[str, dict[str, bool]] = {}
    for revision in revisions(engine):
        advance(engine, revision)
        inspector = inspect(engine)
        now = {
            table: {column["name"]: bool(column["nullable"]) for column in inspector.get_columns(table)}
            for table in inspector.get_table_names()
        }
        for table, columns in known.items():
            assert columns.keys() <= now[table].keys(), f"{revision} drops from {table}"
            narrowed = [name for name, nullable in columns.items() if nullable and not now[table][name]]
            assert not narrowed, f"{revision} makes {narrowed} of {table} compulsory"
        known = now
    engine.dispose()


def test_this_release_serves_the_schema_of_the_next(engine: Engine, tmp_path: Path) -> None:
    """A server that starts, or starts again, while a newer one has already changed the schema works, and leaves it."""
    for change in NEXT_RELEASE:
        run(engine, change)
    try:
        server = ServerProcess(tmp_path / "data", DATABASE_URL=engine.url.render_as_string(hide_password=False)).start()
        device = Device(server.address).connect()
        turn = device.ask("c-1", "hi")["turn"]
        assert device.seen(turn).whole()["status"] == "done"
        assert server.stop() == 0
        assert migrate.current(engine) == "9999"
        assert "newer than this program" in server.log.read_text()
    finally:
        if engine.dialect.name != "sqlite":  # the session's tests share one
            run(engine, "DROP INDEX ix_message_mood ON message", "DROP TABLE badge")
            run(engine, "ALTER TABLE message DROP COLUMN mood", "ALTER TABLE turn DROP COLUMN hops")
            run(engine, f"UPDATE alembic_version SET version_num = '{migrate.head()}'")


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        (["ALTER TABLE message DROP COLUMN model"], "message.model is missing"),
        (["DROP TABLE coupon_use"], "coupon_use is missing"),
        (
            ["DROP TABLE academy", "CREATE TABLE academy (user_id VARCHAR(40), name TEXT, tenant INTEGER NOT NULL)"],
            "academy.tenant must be filled",
        ),
    ],
)
def test_a_schema_that_went_on_without_this_release_is_refused(
    bare_database_url: str, changes: list[str], named: str
) -> None:
    """The message names what is in the way, and nothing is touched."""
    migrate.upgrade(bare_database_url)
    engine = make_engine(bare_database_url)
    run(engine, "UPDATE alembic_version SET version_num = '9999'", *changes)
    engine.dispose()

    with pytest.raises(DatabaseUnavailable, match=named):
        migrate.upgrade(bare_database_url)
    assert migrate.current(engine) == "9999"
    engine.dispose()
