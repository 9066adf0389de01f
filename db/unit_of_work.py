"""The unit of work: one short transaction, explicit, never across a vendor call."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import TypeVar

from sqlalchemy import Engine
from sqlalchemy.orm import Session

from db.engine import READ_ONLY
from db.errors import DatabaseBusy, translate
from db.turnstile import Turnstile

T = TypeVar("T")

MAX_REPEATS = 3
_PAUSE_S = 0.02


class UnitOfWork:
    """Opens transactions. Shared by every greenlet; each has at most one open at a time.

    What a block loads stays readable after it. On MySQL every statement may let other greenlets run; on SQLite
    only the wait for the write lock does, which is waited for before anything else, in turn.

    Raises (from every block):
        DatabaseBusy: Nothing was kept; another try later may work.
        DatabaseUnavailable: The same, and a try at once will not help. When the connection broke during the
            commit itself the outcome is unknown: what is repeated must find its own traces.
    """

    def __init__(self, engine: Engine) -> None:
        self._writing = engine
        self._reading = engine.execution_options(**{READ_ONLY: True})
        # Local to a greenlet, as the process is patched: two connections in one greenlet could wait for each other.
        self._entered = threading.local()
        # A server takes any number of writers at once; SQLite takes one, and does its work on the hub.
        self._turnstile = Turnstile() if engine.dialect.name == "sqlite" else None

    @contextmanager
    def __call__(self) -> Iterator[Session]:
        """A transaction that writes: committed at the end of the block, rolled back if it raises or is killed."""
        self._refuse_nesting()
        with self._turnstile.passing() if self._turnstile else nullcontext(), self._session(self._writing) as session:
            yield session
            session.commit()

    @contextmanager
    def read(self) -> Iterator[Session]:
        """A transaction that only reads; whatever it changed is dropped."""
        with self._session(self._reading) as session:
            yield session

    def run(self, work: Callable[[Session], T]) -> T:
        """Do `work` in a transaction; again, at most `MAX_REPEATS` times, when the database asks for a repeat.

        Args:
            work: Must be fit to run again: its effects stay inside the session.
        """
        for repeat in range(MAX_REPEATS + 1):
            try:
                with self() as session:
                    return work(session)
            except DatabaseBusy as busy:
                if not busy.repeatable or repeat == MAX_REPEATS:
                    raise
            time.sleep(_PAUSE_S * (repeat + 1))
        raise AssertionError("unreachable")

    @contextmanager
    def _session(self, engine: Engine) -> Iterator[Session]:
        self._refuse_nesting()
        self._entered.now = True
        try:
            with Session(engine, expire_on_commit=False) as session:
                yield session
        except Exception as error:
            busy = translate(error)
            if busy is None:
                raise
            raise busy from error
        finally:
            self._entered.now = False

    def _refuse_nesting(self) -> None:
        if getattr(self._entered, "now", False):
            raise AssertionError("A unit of work was opened inside another one of the same greenlet.")
