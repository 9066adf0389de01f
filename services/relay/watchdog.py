"""Deadlines of running turns, kept by one greenlet instead of a timer per piece."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import gevent
from greenlet import greenlet

from services.clock import Clock


@dataclass(frozen=True, slots=True)
class Limits:
    """Seconds a turn may wait: for the first piece, for the next one, and in all."""

    first_piece_s: float
    idle_s: float
    total_s: float


class Deadline:
    """When a turn's wait for its vendor is over. Owned by the turn's greenlet, read by the watchdog.

    Only pieces move it: a vendor's keep-alive comments do not.
    """

    __slots__ = ("_clock", "_limits", "_until", "_until_total")

    def __init__(self, clock: Clock, limits: Limits) -> None:
        self._clock = clock
        self._limits = limits
        now = clock.monotonic()
        self._until_total = now + limits.total_s
        self._until = now + limits.first_piece_s

    def restart(self) -> None:
        """A new attempt at a vendor begins: the first-piece limit counts from now."""
        self._until = self._clock.monotonic() + self._limits.first_piece_s

    def piece(self) -> None:
        """A piece came: the idle limit counts from now."""
        self._until = self._clock.monotonic() + self._limits.idle_s

    def suspend(self) -> None:
        """The piece limit has been reported: it does not count again before the next attempt or piece."""
        self._until = math.inf

    def overdue(self, now: float) -> str | None:
        """`total` or `piece` when that limit has passed, else None."""
        if now >= self._until_total:
            return "total"
        return "piece" if now >= self._until else None


class Guarded(Protocol):
    """A running turn as the watchdog sees it."""

    deadline: Deadline

    def late(self, which: str) -> None:
        """The limit `which` has passed. Called in the hub's greenlet: must not wait."""


class Watchdog:
    """Looks at every running turn ten times a second."""

    def __init__(self, clock: Clock, period_s: float = 0.1) -> None:
        self._clock = clock
        self._period_s = period_s
        self._guarded: set[Guarded] = set()
        self._greenlet: gevent.Greenlet | None = None

    def guard(self, turn: Guarded) -> None:
        self._guarded.add(turn)
        if self._greenlet is None:
            self._greenlet = gevent.spawn(self._run)

    def release(self, turn: Guarded) -> None:
        self._guarded.discard(turn)

    def check(self) -> None:
        """Tell every turn that is late. Never yields."""
        now = self._clock.monotonic()
        for turn in tuple(self._guarded):
            if which := turn.deadline.overdue(now):
                turn.late(which)

    def close(self) -> None:
        if self._greenlet is not None:
            self._greenlet.kill()

    def _run(self) -> None:
        while True:
            gevent.sleep(self._period_s)
            self.check()


def throw_at_wait(target: greenlet, is_waiting: Callable[[], bool], error: BaseException) -> None:
    """Raise `error` in `target` at its network wait.

    Scheduled on the hub, where `target` is certainly suspended. `is_waiting()` is asked there, in the same
    moment: it must say whether `target` is inside a vendor call, so that the error never lands in a database
    transaction or in the code between two pieces.
    """
    hub = gevent.get_hub()

    def throw() -> None:
        if not target.dead and is_waiting():
            target.throw(error)

    hub.loop.run_callback(throw)
