"""Bringing a database to the newest schema, and telling whether this program can work on the one it finds."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, Engine, inspect, text
from sqlalchemy.exc import DBAPIError

from db.engine import make_engine
from db.errors import DatabaseUnavailable, explain

if TYPE_CHECKING:
    from alembic.config import Config

logger = logging.getLogger(__name__)

LOCK_S = 600
"""How long a start waits for another one that is just changing the schema."""
_FOLDER = Path(__file__).parent / "migrations"
_PAUSE_S = 0.5


def upgrade(url: str, *, wait_s: float = 0.0) -> None:
    """Make or bring up to date the schema at `url`; next to nothing to do when it is current.

    A schema newer than this program is left as it is: during an upgrade the release before works on.

    Args:
        wait_s: How long to wait for a server that cannot be reached.

    Raises:
        DatabaseUnavailable: It cannot be reached or used; the message says what to do.
    """
    deadline = time.monotonic() + wait_s
    while True:
        try:
            _upgrade_if_older(url)
            return
        except DBAPIError as error:
            refusal = explain(error, url)
        if not refusal.may_pass or time.monotonic() >= deadline:
            raise refusal
        logger.warning("waiting for the database: %s", refusal)
        time.sleep(_PAUSE_S)


def misfits(engine: Engine) -> list[str]:
    """What keeps this program from working on the schema: columns it needs, and columns it knows not to fill."""
    from db.models import Turn

    inspector = inspect(engine)
    found = []
    for table in Turn.metadata.sorted_tables:
        if not inspector.has_table(table.name):
            found.append(f"{table.name} is missing")
            continue
        there = {column["name"]: column for column in inspector.get_columns(table.name)}
        found += [f"{table.name}.{name} is missing" for name in table.columns.keys() - there.keys()]
        found += [
            f"{table.name}.{name} must be filled"
            for name in there.keys() - table.columns.keys()
            if not there[name]["nullable"] and there[name]["default"] is None
        ]
    return sorted(found)


def is_newer(revision: str | None) -> bool:
    """Whether a database at `revision` was written by a program that knows more migrations than this one."""
    return revision is not None and not list((_FOLDER / "versions").glob(f"{revision}_*.py"))


def head() -> str:
    """The newest revision there is, read off the file names: Alembic takes longer to import than all the rest."""
    return max(path.name[:4] for path in (_FOLDER / "versions").glob("[0-9][0-9][0-9][0-9]_*.py"))


def current(engine: Engine) -> str | None:
    """The revision the database is at; None for an empty one."""
    with engine.connect() as connection:
        if not inspect(connection).has_table("alembic_version"):
            return None
        return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()


def differences(engine: Engine) -> list[Any]:
    """What the models have and the database lacks, and the reverse; empty when they agree."""
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    from db.base import Base
    from db.migrations.filter import is_ours

    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"include_object": is_ours, "compare_type": True})
        return list(compare_metadata(context, Base.metadata))


def revise(engine: Engine, message: str) -> Path:
    """Write the next migration from the difference between the models and the database, which must be current."""
    from alembic import command

    number = f"{int(head()) + 1:04d}"
    slug = re.sub(r"[^a-z0-9]+", "_", message.lower()).strip("_")
    with engine.connect() as connection:
        command.revision(_config(connection), message, autogenerate=True, rev_id=number)
    return _FOLDER / "versions" / f"{number}_{slug}.py"


def _upgrade_if_older(url: str) -> None:
    engine = make_engine(url, pool_size=1)
    try:
        found = current(engine)
        if is_newer(found):
            if wrong := misfits(engine):
                raise DatabaseUnavailable(
                    f"The database was changed by a newer version ({found}) that this one cannot work with:"
                    f" {', '.join(wrong)}. Start that version, or restore a backup.\n"
                    f"数据库已由更新的版本（{found}）修改，本版本无法使用：请启动该版本，或恢复备份。"
                )
            logger.warning("the database is at revision %s, newer than this program's %s", found, head())
        elif found != head():
            _upgrade(url)
    finally:
        engine.dispose()


def _upgrade(url: str) -> None:
    from alembic import command

    # Changing a large table may take its time.
    engine = make_engine(url, pool_size=1, answer_s=None)
    try:
        with engine.connect() as connection, _alone(connection):
            command.upgrade(_config(connection), "head")
            connection.commit()
    finally:
        engine.dispose()


@contextmanager
def _alone(connection: Connection) -> Iterator[None]:
    """Let no other program change the schema meanwhile: whoever comes second finds it done.

    On SQLite the transaction itself does so: it begins with the write lock, before the revision is read.
    """
    if connection.dialect.name == "sqlite":
        yield
        return
    name = text("SELECT GET_LOCK(CONCAT('parley:', MD5(DATABASE())), :wait_s)")
    if connection.scalar(name, {"wait_s": LOCK_S}) != 1:
        raise DatabaseUnavailable("Another program is changing this database's schema.\n另有程序正在修改数据库结构。")
    try:
        yield
    finally:
        connection.scalar(text("SELECT RELEASE_LOCK(CONCAT('parley:', MD5(DATABASE())))"))
        connection.commit()


def _config(connection: Connection) -> Config:
    from alembic.config import Config

    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(_FOLDER).replace("%", "%%"))
    config.set_main_option("file_template", "%%(rev)s_%%(slug)s")
    return config
