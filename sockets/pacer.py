"""Wakes viewers when their window is over: one hub timer for all of them."""

from __future__ import annotations

from collections.abc import Callable

import gevent
from gevent.event import Event

TICK_S = 0.004


class Pacer:
    """Calls back after short delays, in ticks of 4 ms. Callbacks run in one greenlet and must not yield."""

    def __init__(self) -> None:
        self._due: dict[int, list[Callable[[], None]]] = {}
        self._loop = gevent.get_hub().loop
        self._tick = 0
        self._filled = Event()
        self._greenlet = gevent.spawn(self._run)

    def after(self, delay_s: float, callback: Callable[[], None]) -> None:
        """Call `callback` once, `delay_s` from now, rounded up to a tick. Never yields."""
        tick = int((self._loop.now() + delay_s) / TICK_S) + 1
        waiting = self._due.get(tick)
        if waiting is None:
            self._due[tick] = [callback]
            self._filled.set()
        else:
            waiting.append(callback)

    def close(self) -> None:
        self._greenlet.kill()

    def _run(self) -> None:
        while True:
            self._filled.wait()
            gevent.sleep(TICK_S)
            now = int(self._loop.now() / TICK_S)
            for tick in sorted(tick for tick in self._due if tick <= now):
                for callback in self._due.pop(tick):
                    callback()
            if not self._due:
                self._filled.clear()
