"""What the database says no with, freed of its driver's words.

DatabaseBusy               nothing was kept; another try may work
└── DatabaseUnavailable    it cannot be reached, or cannot be written; a try at once will not help
"""

from __future__ import annotations

import sqlite3
from typing import Any

import sqlalchemy.exc
from sqlalchemy.engine import make_url

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
    """The database cannot be reached, is full or may not be written.

    Attributes:
        may_pass: Whether waiting may help: the server is away, or starting.
    """

    def __init__(self, message: str, *, may_pass: bool = False) -> None:
        super().__init__(message)
        self.may_pass = may_pass


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


def explain(error: sqlalchemy.exc.DBAPIError, url: str) -> DatabaseUnavailable:
    """What the owner of this server can do about a database that cannot be opened, in English and in Chinese."""
    address = make_url(url)
    said: Any = error.orig
    if address.get_backend_name() == "sqlite":
        file, code = address.database, getattr(said, "sqlite_errorcode", 0) & 0xFF
        if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
            english, chinese = f"{file} is damaged: restore a backup", f"{file} 已损坏：请恢复备份"
        elif code in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR):
            english, chinese = (
                f"The disk of {file} is full or fails: make room",
                f"{file} 所在磁盘已满或出错：请清理空间",
            )
        elif code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            english, chinese = f"Another program holds {file}: close it", f"另有程序占用 {file}：请将其关闭"
        else:
            english = f"{file} cannot be opened: DATA_DIR must be a folder that this user may write"
            chinese = f"无法打开 {file}：DATA_DIR 必须是当前用户可写的目录"
        return DatabaseUnavailable(f"{english} ({said}).\n{chinese}。")
    code = said.args[0] if said is not None and said.args else 0
    where = f"{address.host}:{address.port or 3306}"
    if code in _MYSQL_UNAVAILABLE:
        english = f"DATABASE_URL: the database at {where} does not answer: start it, or correct the address"
        chinese = f"DATABASE_URL：{where} 的数据库没有应答：请启动它，或更正地址"
        return DatabaseUnavailable(f"{english} ({_reason(said)}).\n{chinese}。", may_pass=True)
    if code in _MYSQL_REPEATABLE:
        return DatabaseUnavailable("The database is busy: start again.\n数据库正忙：请重新启动。", may_pass=True)
    english = f"DATABASE_URL: the database at {where} refuses: check user, password, and that the database exists"
    chinese = f"DATABASE_URL：{where} 的数据库拒绝访问：请检查用户名、密码以及库是否存在"
    return DatabaseUnavailable(f"{english} ({_reason(said)}).\n{chinese}。")


def _reason(said: Any) -> str:
    return str(said.args[1] if said is not None and len(said.args) > 1 else said)
