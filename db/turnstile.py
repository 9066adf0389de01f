"""Lets those who write to SQLite through one by one, with everybody else's turn between two of them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import gevent
from gevent.lock import Semaphore

from db.errors import DatabaseBusy

LONGEST_WAIT_S = 30.0


class Turnstile:
    """First come, first served; shared by every greenlet.

    A transaction on SQLite holds the hub for a millisecond or two. Two hundred that become ready in the same moment,
    as when so many answers begin or end together, would hold it for all of their time: it looks at sockets only between
    two rounds of its loop. So the way is free again one round after a transaction's end.
    """

    def __init__(self) -> None:
        self._way = Semaphore(1)

    @contextmanager
    def passing(self) -> Iterator[None]:
        """Yields to others only when somebody else is inside, or was a moment ago.

        Raises:
            DatabaseBusy: It took longer than `LONGEST_WAIT_S`.
        """
        if not self._way.acquire(timeout=LONGEST_WAIT_S):
            raise DatabaseBusy("The database is busy with other changes.", repeatable=False)
        try:
            yield
        finally:
            timer = gevent.get_hub().loop.timer(0)
            timer.start(self._free, timer)

    def _free(self, timer: Any) -> None:
        """Runs in the hub, in the loop's next round."""
        timer.stop()
        timer.close()
        self._way.release()
