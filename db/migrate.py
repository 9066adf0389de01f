"""Bringing a database to the newest schema, and telling whether it is there."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, Engine, inspect, text
from sqlalchemy.exc import DBAPIError

from db.engine import make_engine
from db.errors import translate

if TYPE_CHECKING:
    from alembic.config import Config

_FOLDER = Path(__file__).parent / "migrations"


def upgrade(url: str) -> None:
    """Make or bring up to date the schema at `url`; next to nothing to do when it is current.

    Raises:
        RuntimeError: The database was written by a newer version of this program.
        DatabaseUnavailable: It cannot be reached or written.
    """
    engine = make_engine(url, pool_size=1)
    try:
        if current(engine) != head():
            _upgrade(engine)
    except DBAPIError as error:
        raise translate(error) or error from error
    finally:
        engine.dispose()


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


def _upgrade(engine: Engine) -> None:
    from alembic import command

    found = current(engine)
    if found is not None and found > head():
        raise RuntimeError(f"The database is at revision {found}; this program knows only up to {head()}.")
    with engine.connect() as connection:
        command.upgrade(_config(connection), "head")
        connection.commit()


def _config(connection: Connection) -> Config:
    from alembic.config import Config

    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(_FOLDER).replace("%", "%%"))
    config.set_main_option("file_template", "%%(rev)s_%%(slug)s")
    return config
