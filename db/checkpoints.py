"""SQLite's checkpoints, where the disk is flushed: in a native thread, so that the hub never waits for the disk.

A commit only appends to the write-ahead log (`synchronous=NORMAL`): it survives the death of the process at once,
and that of the machine from the next checkpoint on.
"""

from __future__ import annotations

import logging
import sqlite3

import gevent
from gevent.threadpool import ThreadPool
from sqlalchemy import Engine

log = logging.getLogger(__name__)

INTERVAL_S = 2.0


class Checkpoints:
    """Moves the write-ahead log into the database every `interval_s` while there is something in it."""

    def __init__(self, path: str, interval_s: float) -> None:
        self._path = path
        self._interval_s = interval_s
        self._connection: sqlite3.Connection | None = None
        self._seen = -1
        self._threads = ThreadPool(1)
        self._greenlet = gevent.spawn(self._run)

    def close(self) -> None:
        """Stop, after one last checkpoint. The caller's greenlet waits; the hub does not."""
        self._greenlet.kill()
        try:
            self.checkpoint()
        finally:
            self._threads.apply(self._disconnect)
            self._threads.kill()

    def checkpoint(self) -> None:
        """Flush now. Yields while a native thread works."""
        self._threads.apply(self._checkpoint)

    def _run(self) -> None:
        while True:
            gevent.sleep(self._interval_s)
            try:
                self.checkpoint()
            except sqlite3.Error:
                # A full disk heals, or every write says so: the log only grows meanwhile.
                log.exception("The database could not be flushed.")

    def _checkpoint(self) -> None:
        """In the native thread."""
        if self._connection is None:
            self._connection = sqlite3.connect(self._path, timeout=1.0, isolation_level=None)
            self._connection.execute("PRAGMA synchronous=NORMAL")
            self._connection.execute("PRAGMA wal_autocheckpoint=0")
        (version,) = self._connection.execute("PRAGMA data_version").fetchone()
        if version == self._seen:
            return  # nobody else has written
        busy, frames, moved = self._connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
        self._seen = version
        if busy or frames != moved:
            self._seen = -1  # a reader still needs the old pages: again next time
            return
        # After a complete checkpoint the next writer begins the log anew and flushes its header. Be that writer.
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            self._connection.execute("PRAGMA user_version=1")
            self._connection.execute("COMMIT")
        except sqlite3.OperationalError:
            self._connection.rollback()  # someone was quicker, at the price of that one flush

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def start_checkpoints(engine: Engine, *, interval_s: float = INTERVAL_S) -> Checkpoints | None:
    """Begin to flush the engine's database; None for one that does so itself (MySQL)."""
    if engine.dialect.name != "sqlite":
        return None
    assert engine.url.database is not None
    return Checkpoints(engine.url.database, interval_s)
