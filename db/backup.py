"""A copy of an SQLite database, made while the server runs, and the way back. MySQL has programs of its own for it."""

from __future__ import annotations

import os
import shlex
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

from sqlalchemy.engine import URL, make_url

from db import migrate

WAIT_S = 30.0
BEFORE = ".before-restore"
"""Ends the name of what a restore replaced."""


class BackupRefused(Exception):
    """It was not done, and nothing was changed; the message says why, in English and in Chinese."""


def backup(url: str, file: Path) -> None:
    """Write the database as it is at this moment into `file`; those who write to it do not wait.

    Pictures are files in the data folder and not part of it.

    Raises:
        BackupRefused: There is such a file, no such database, no room, or it is a MySQL.
    """
    source = _sqlite_file(url, f"mysqldump --single-transaction --no-tablespaces {{login}} > {shlex.quote(str(file))}")
    if file.exists():
        raise BackupRefused(f"{file} exists already.\n{file} 已存在。")
    part = file.with_name(file.name + ".part")
    try:
        part.unlink(missing_ok=True)
        part.touch(mode=0o600, exist_ok=False)
        with closing(_open(source)) as connection:
            # One read of one snapshot, whatever is written meanwhile.
            connection.execute("VACUUM INTO ?", (str(part),))
        _check(part)
        _flush(part)
        part.replace(file)
    except (sqlite3.Error, OSError) as error:
        part.unlink(missing_ok=True)
        raise BackupRefused(f"The backup failed: {error}.\n备份失败：{error}。") from error


def restore(url: str, file: Path) -> None:
    """Put `file` in the database's place, and bring it up to date. What was there is kept beside it.

    Raises:
        BackupRefused: It is no database, the server still runs, or it is a MySQL.
    """
    target = _sqlite_file(url, f"mysql {{login}} < {shlex.quote(str(file))}")
    part = target.with_name(target.name + ".restored")
    try:
        if not file.is_file():
            raise BackupRefused(f"There is no file {file}.\n没有文件 {file}。")
        _check(file)
        if target.exists():
            _leave_to_us(target)
        shutil.copyfile(file, part)
        _flush(part)
        if target.exists():
            target.replace(target.with_name(target.name + BEFORE))
        part.replace(target)
    except (sqlite3.Error, OSError) as error:
        part.unlink(missing_ok=True)
        raise BackupRefused(f"The restore failed: {error}.\n恢复失败：{error}。") from error
    migrate.upgrade(url)


def _sqlite_file(url: str, instead: str) -> Path:
    address = make_url(url)
    if address.get_backend_name() != "sqlite":
        raise BackupRefused(
            f"This database is a MySQL; its own program does it:\n  {instead.format(login=_login(address))}\n"
            "数据库为 MySQL：请使用上面的命令。"
        )
    return Path(address.database or "")


def _login(address: URL) -> str:
    words = ["-h", address.host or "127.0.0.1", "-P", str(address.port or 3306), "-u", address.username or ""]
    return shlex.join([*words, *(["-p"] if address.password else []), address.database or ""])


def _open(file: Path) -> sqlite3.Connection:
    """Opens what is there, and makes nothing."""
    return sqlite3.connect(f"{file.resolve().as_uri()}?mode=rw", uri=True, timeout=WAIT_S, isolation_level=None)


def _check(file: Path) -> None:
    with closing(sqlite3.connect(f"{file.resolve().as_uri()}?mode=ro&immutable=1", uri=True)) as connection:
        (found,) = connection.execute("PRAGMA integrity_check(1)").fetchone()
        if found != "ok" or not connection.execute("SELECT 1 FROM alembic_version").fetchone():
            raise BackupRefused(f"{file} is not a whole database of Parley's.\n{file} 不是完整的 Parley 数据库。")


def _leave_to_us(file: Path) -> None:
    """Fails while any other connection is open; after it the file is whole without its log."""
    try:
        with closing(_open(file)) as connection:
            connection.execute("PRAGMA busy_timeout=0")
            connection.execute("PRAGMA journal_mode=DELETE")
    except sqlite3.DatabaseError as error:
        if error.sqlite_errorcode & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            raise BackupRefused("The server still runs: stop it first.\n服务仍在运行：请先停止。") from error
        # A damaged one is what a restore is for. Its log must not be taken for the new one's.
        file.with_name(file.name + "-shm").unlink(missing_ok=True)
        if (log := file.with_name(file.name + "-wal")).exists():
            log.replace(file.with_name(file.name + BEFORE + "-wal"))


def _flush(file: Path) -> None:
    with file.open("rb") as copy:
        os.fsync(copy.fileno())
