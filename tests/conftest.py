"""Fixtures of every test. The first lines patch the standard library, as `server.py` does."""

# ruff: noqa: E402
from gevent import monkey

monkey.patch_all()

from tests.databases import (  # noqa: F401
    bare_database_url,
    clock,
    database_url,
    engine,
    mariadb_files,
    mariadb_url,
    migrated_mariadb_url,
    migrated_sqlite_file,
    own_mariadb,
    sqlite_url,
    uow,
)
