"""The engine: SQLite tuned never to hold the hub, MySQL and MariaDB with a pool sized for greenlets.

A SQLite call runs in C and stops every greenlet while it lasts, so none may wait inside: SQLite's own busy
handling is off, the wait for the write lock is cooperative, and what flushes the disk happens in a native
thread (`db/checkpoints.py`). What is left is a few page-cache writes.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL, make_url

from db.errors import DatabaseBusy

READ_ONLY = "parley_read_only"
"""Execution option of a connection that promises to write nothing."""
POOL_TIMEOUT_S = 1.5
LOCK_TIMEOUT_S = 5.0
SCHEMA_LOCK_S = 60.0
ANSWER_S = 10.0
"""How long MySQL may take for one statement. A server that hangs is given up after that."""
_SQLITE_CONNECTIONS = 4  # more would only hold more page caches: calls never overlap, only open transactions do


def make_engine(url: str, *, pool_size: int = 16, answer_s: float | None = ANSWER_S) -> Engine:
    """The engine of `url`; opens nothing yet.

    Args:
        pool_size: Connections to MySQL kept open; a caller that finds all taken waits `POOL_TIMEOUT_S`.
        answer_s: How long MySQL may take for one statement; None for as long as it likes.

    Raises:
        ValueError: Neither a SQLite file nor `mysql+pymysql`.
    """
    address = make_url(url)
    if address.get_backend_name() == "sqlite":
        return _sqlite(address)
    if address.drivername in ("mysql+pymysql", "mariadb+pymysql"):
        return _mysql(address, pool_size, answer_s)
    raise ValueError("The database must be a SQLite file or mysql+pymysql.")


def _mysql(address: URL, pool_size: int, answer_s: float | None) -> Engine:
    return create_engine(
        address.update_query_dict({"charset": "utf8mb4"}),
        isolation_level="READ COMMITTED",
        hide_parameters=True,  # bound values are what users wrote
        pool_size=pool_size,
        max_overflow=0,
        pool_timeout=POOL_TIMEOUT_S,
        pool_pre_ping=True,
        pool_recycle=1800,
        connect_args={
            "connect_timeout": 5,
            "read_timeout": answer_s,
            "write_timeout": answer_s,
            # Strict: a value that does not fit is an error, never cut short.
            "init_command": f"SET SESSION innodb_lock_wait_timeout={LOCK_TIMEOUT_S:.0f},"
            # What waits for a newer release's change of the schema is told to come again; the change itself waits.
            f" lock_wait_timeout={max(LOCK_TIMEOUT_S, 1) if answer_s else SCHEMA_LOCK_S:.0f},"
            " sql_mode=CONCAT(@@sql_mode, ',STRICT_ALL_TABLES')",
        },
    )


def _sqlite(address: URL) -> Engine:
    if not address.database or address.database == ":memory:" or "mode" in address.query:
        raise ValueError("SQLite needs a file: sqlite:///folder/name.sqlite3.")
    engine = create_engine(
        address,
        hide_parameters=True,
        pool_size=_SQLITE_CONNECTIONS,
        max_overflow=0,
        pool_timeout=POOL_TIMEOUT_S,
        pool_use_lifo=True,
        connect_args={"timeout": 0, "check_same_thread": False},
    )
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _prepare_sqlite(connection: sqlite3.Connection, _record: Any) -> None:
    connection.isolation_level = None  # BEGIN is ours to say
    for _ in _lock_waits():
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            break
        except sqlite3.OperationalError as error:
            if not _is_locked(error):
                raise
    connection.execute("PRAGMA synchronous=NORMAL")
    connection.execute("PRAGMA foreign_keys=ON")
    connection.execute("PRAGMA wal_autocheckpoint=0")
    connection.execute("PRAGMA temp_store=MEMORY")
    connection.execute("PRAGMA cache_size=-16000")


def _begin_sqlite(connection: Connection) -> None:
    """Take the snapshot, and for writers the write lock, here: later statements then never meet a lock."""
    raw: Any = connection.connection.dbapi_connection
    read_only = connection.get_execution_options().get(READ_ONLY, False)
    for _ in _lock_waits():
        try:
            if read_only:
                raw.execute("BEGIN")
                raw.execute("SELECT 1 FROM sqlite_schema LIMIT 1").fetchone()
            else:
                raw.execute("BEGIN IMMEDIATE")
            return
        except sqlite3.OperationalError as error:
            raw.rollback()
            if not _is_locked(error):
                raise
    raise DatabaseBusy("The database is busy with another change.", repeatable=False)


def _is_locked(error: sqlite3.OperationalError) -> bool:
    return error.sqlite_errorcode & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)


def _lock_waits() -> Iterator[None]:
    """One turn per try, with a sleep between: 1 ms growing to 50, `LOCK_TIMEOUT_S` in all.

    `time.sleep` yields to other greenlets where the process is patched, and works where it is not.
    """
    waited, pause = 0.0, 0.001
    while waited < LOCK_TIMEOUT_S:
        yield
        time.sleep(pause)
        waited += pause
        pause = min(pause * 1.5, 0.05)
