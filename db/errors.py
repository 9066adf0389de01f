"""What the database says no with, freed of its driver's words.

DatabaseBusy               nothing was kept; another try may work
└── DatabaseUnavailable    it cannot be reached, or cannot be written; a try at once will not help
"""

from __future__ import annotations

import sqlite3
from typing import Any

import sqlalchemy.exc

_MYSQL_REPEATABLE = {1205, 1213, 1020}  # lock wait, deadlock, record changed since last read
_MYSQL_UNAVAILABLE = {1021, 1040, 1041, 1053, 1114, 1203, 1290, 1836, 1927, 2002, 2003, 2006, 2013, 2055}
_SQLITE_REPEATABLE = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}
_SQLITE_UNAVAILABLE = {
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_CORRUPT,
    sqlite3.SQLITE_NOTADB,
}


class DatabaseBusy(Exception):
    """The database did not take the work in time; its transaction was rolled back.

    Attributes:
        repeatable: The database itself asked for a repeat: a deadlock, a lock not had in time.
    """

    def __init__(self, message: str, *, repeatable: bool = False) -> None:
        super().__init__(message)
        self.repeatable = repeatable


class DatabaseUnavailable(DatabaseBusy):
    """The database cannot be reached, is full or may not be written."""


def translate(error: BaseException) -> DatabaseBusy | None:
    """The meaning of a driver's error; None for one that is a bug or a broken constraint."""
    if isinstance(error, sqlalchemy.exc.TimeoutError):
        return DatabaseBusy("Every connection to the database is in use.")
    if not isinstance(error, sqlalchemy.exc.DBAPIError):
        return None
    original: Any = error.orig
    if isinstance(original, sqlite3.Error):
        # Extended codes keep the plain one in their low byte.
        code = getattr(original, "sqlite_errorcode", 0) & 0xFF
        repeatable, unavailable = _SQLITE_REPEATABLE, _SQLITE_UNAVAILABLE
    else:
        code = original.args[0] if original is not None and original.args else 0
        repeatable, unavailable = _MYSQL_REPEATABLE, _MYSQL_UNAVAILABLE
    if code in repeatable:
        return DatabaseBusy("The database is busy with another change.", repeatable=True)
    if code in unavailable or error.connection_invalidated:
        return DatabaseUnavailable("The database cannot be reached or written.")
    return None
