"""Pings at intervals, and the end when one is not answered."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gevent.hub import get_hub


class Heartbeat:
    """One libev timer: no greenlet per session or pong, and a clock that no change of the wall time moves.

    Args:
        ping: Called by the hub when a ping is due; must not yield.
        expired: Called by the hub when a ping went unanswered for `timeout_s`; must not yield.
    """

    __slots__ = ("_expired", "_interval_s", "_loop", "_ping", "_timeout_s", "_timer", "_waiting")

    def __init__(
        self, *, interval_s: float, timeout_s: float, ping: Callable[[], None], expired: Callable[[], None]
    ) -> None:
        self._loop = get_hub().loop
        self._interval_s = interval_s
        self._timeout_s = timeout_s
        self._ping = ping
        self._expired = expired
        self._waiting = False
        self._timer: Any = None

    def start(self) -> None:
        self._waiting = False
        self._schedule(self._interval_s, self._beat)

    def pong(self) -> None:
        """The answer came. One that was not asked for changes nothing."""
        if self._waiting:
            self.start()

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.stop()
            self._timer.close()
            self._timer = None
        self._waiting = False

    def _beat(self) -> None:
        self._waiting = True
        self._schedule(self._timeout_s, self._expired)
        self._ping()

    def _schedule(self, seconds: float, callback: Callable[[], None]) -> None:
        if self._timer is not None:
            self._timer.stop()
            self._timer.close()
        self._timer = self._loop.timer(seconds)
        # update: the loop's idea of now may be as old as the work it is doing, and a timer must not fire early
        self._timer.start(callback, update=True)
