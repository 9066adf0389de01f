"""Packets that wait for a polling client to fetch them."""

from __future__ import annotations

from collections import deque

from gevent.event import Event

from .frame import Frame

MOST_AT_ONCE = 15
"""With a CLOSE behind them 16: of more in one answer python-engineio's client believes none, and hangs up."""


class Mailbox:
    """A queue bounded in bytes, for one reader at a time. Only `take` yields."""

    __slots__ = ("_event", "_frames", "_limit", "pending_bytes", "reading")

    def __init__(self, max_pending_bytes: int) -> None:
        self._frames: deque[Frame] = deque()
        self._limit = max_pending_bytes
        self._event = Event()
        self.pending_bytes = 0
        self.reading = False

    @property
    def is_low(self) -> bool:
        return self.pending_bytes * 4 <= self._limit

    def offer(self, frame: Frame) -> bool:
        """Queue a packet; False when too much waits already. One larger than the bound is taken when nothing waits."""
        size = len(frame.packet)
        if self._frames and self.pending_bytes + size > self._limit:
            return False
        self._frames.append(frame)
        self.pending_bytes += size
        self._event.set()
        return True

    def take(self, timeout_s: float) -> list[Frame]:
        """Wait for packets and take the first `MOST_AT_ONCE`; none after `wake` or the timeout."""
        self.reading = True
        try:
            self._event.wait(timeout_s)
        finally:
            self.reading = False
        if sum(frame.packets for frame in self._frames) <= MOST_AT_ONCE:
            return self.take_now()
        frames: list[Frame] = []
        left = MOST_AT_ONCE
        while (left := left - self._frames[0].packets) >= 0:
            frames.append(self._frames.popleft())
        self.pending_bytes -= sum(len(frame.packet) for frame in frames)
        return frames

    def take_now(self) -> list[Frame]:
        """All that waits at this moment, possibly nothing. Never yields."""
        self._event.clear()
        frames = list(self._frames)
        self._frames.clear()
        self.pending_bytes = 0
        return frames

    def wake(self) -> None:
        """End a `take` that waits, with what there is."""
        self._event.set()
