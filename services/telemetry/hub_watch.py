"""Notices when the hub stands still, which under gevent stops everybody, and says which code held it."""

from __future__ import annotations

import faulthandler
import logging
import math
import sys
import traceback
from collections.abc import Callable
from typing import Any

import gevent
from gevent.monkey import get_original

from services.clock import Clock

logger = logging.getLogger(__name__)

TICK_S = 0.1
LATE_S = 0.1
"""A tick this late is counted."""
LOOK_S = 0.25
LOOKS = 2
"""After so many looks of the thread without a tick between them the hub's code is asked where it is."""
STUCK_LOOKS = 80
"""After so many the hub may never come back: the thread itself writes where every thread is, past the logging."""
QUIET_S = 60.0
"""The log hears of the hub at most this often; the metric always."""

_start_thread: Callable[[Callable[[], None], tuple[()]], int] = get_original("_thread", "start_new_thread")
_allocate_lock: Callable[[], Any] = get_original("_thread", "allocate_lock")
_get_ident: Callable[[], int] = get_original("_thread", "get_ident")


class HubWatch:
    """Ticks on the hub, and a native thread that looks whether it does. Belongs to the thread that built it.

    The thread counts its own looks instead of time, so that a process or machine that was suspended is not taken for
    a busy one. It never takes a lock of the hub's: what it finds is logged by the next tick.

    Args:
        observe: Is told every standstill, in seconds.
    """

    def __init__(
        self, clock: Clock, observe: Callable[[float], object], *, tick_s: float = TICK_S, look_s: float = LOOK_S
    ) -> None:
        self._clock = clock
        self._observe = observe
        self._tick_s, self._look_s = tick_s, look_s
        self._ticks = 0
        self._due = clock.monotonic() + tick_s
        self._quiet_until = -math.inf
        self._found: str | None = None
        """Where the hub stood, by the thread; None again once told."""
        self._hub_thread = _get_ident()
        self._stop, self._stopped = _allocate_lock(), _allocate_lock()
        self._stop.acquire()
        self._stopped.acquire()
        self._timer = gevent.get_hub().loop.timer(tick_s, tick_s)
        self._timer.start(self._tick)
        _start_thread(self._watch, ())

    @property
    def caught(self) -> bool:
        """Whether the thread has seen a standstill that no tick has told yet."""
        return self._found is not None

    def close(self) -> None:
        """Waits for the thread, which looks at most once more."""
        self._timer.stop()
        self._timer.close()
        self._stop.release()
        self._stopped.acquire()

    def _tick(self) -> None:
        """Runs in the hub, between two greenlets."""
        now = self._clock.monotonic()
        self._ticks += 1
        late_s, self._due = now - self._due, now + self._tick_s
        if late_s >= LATE_S:
            self._observe(late_s)
        found, self._found = self._found, None
        if found is not None and late_s >= LATE_S and now >= self._quiet_until:
            self._quiet_until = now + QUIET_S
            logger.warning("the hub stood still for %.1f s, and everybody with it; it was here:\n%s", late_s, found)

    def _watch(self) -> None:
        """The native thread."""
        seen, looks = -1, 0
        try:
            while not self._stop.acquire(True, self._look_s):
                seen, looks = (seen, looks + 1) if seen == self._ticks else (self._ticks, 0)
                if looks == LOOKS:
                    self._found = self._where()
                elif looks == STUCK_LOOKS:
                    faulthandler.dump_traceback(2)
        finally:
            self._stopped.release()

    def _where(self) -> str:
        frame = sys._current_frames().get(self._hub_thread)
        return "".join(traceback.format_stack(frame)) if frame is not None else ""
