"""A turn's log as a plain iterator: what every answer that streams over HTTP is made from."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from gevent.event import Event

from services.relay.log import Position, Rewind, Span
from services.relay.wire import rewind_to_wire, span_to_wire
from services.telemetry.metrics import Metrics
from services.turns.following import Following

SILENCE_S = 15.0
"""Proxies close a connection on which nothing moves, the usual ones after 60 seconds."""


@dataclass(frozen=True, slots=True)
class Step:
    """One thing to tell a reader, with the epoch it belongs to."""

    epoch: int
    what: Span | Rewind

    @property
    def last(self) -> int:
        """The offset a reader has reached after it."""
        return self.what.offset if isinstance(self.what, Rewind) else self.what.last

    def to_wire(self, turn_id: str) -> tuple[str, dict[str, Any]]:
        """The event's name and payload, as on the socket."""
        if isinstance(self.what, Rewind):
            return rewind_to_wire(turn_id, self.what)
        return span_to_wire(turn_id, self.epoch, self.what)


class _Reader:
    """A watcher that sleeps until there is news. It holds nothing: what it missed stands in the log."""

    def __init__(self) -> None:
        self._news = Event()

    def wake(self, urgent: bool) -> None:
        self._news.set()

    def wait(self, timeout_s: float) -> bool:
        """Whether there was news in time; some of it may have been read already."""
        if not self._news.wait(timeout_s):
            return False
        self._news.clear()
        return True


class Streams:
    """Follows turns for HTTP clients, each in the greenlet of its request."""

    def __init__(self, metrics: Metrics) -> None:
        self._open = 0
        metrics.gauge("parley_http_viewers", "Turns being followed over HTTP.", lambda: self._open)

    def follow(self, following: Following, *, silence_s: float = SILENCE_S) -> Iterator[Step | None]:
        """What comes after `following.start`, as it comes, up to the turn's ending; None after each silence.

        A reader that is slow to come back delays nobody: pieces wait in the log, joined.
        """
        log, reader = following.log, _Reader()
        epoch, cursor = following.start.epoch, following.start.offset
        log.watch(reader)
        self._open += 1
        try:
            while True:
                # Nothing yields between looking at the log and waiting: no entry can be missed in between.
                if epoch != log.epoch:
                    cursor, rewind = log.locate(Position(epoch, cursor))
                    epoch = log.epoch
                    if rewind is not None:
                        yield Step(epoch, rewind)
                        continue
                if spans := log.read(cursor):
                    for span in spans:
                        cursor = span.last
                        yield Step(epoch, span)
                elif log.ended is not None:
                    return
                elif not reader.wait(silence_s):
                    yield None
        finally:
            self._open -= 1
            log.unwatch(reader)


def steps_so_far(following: Following) -> list[Step]:
    """Everything after `following.start` that the log has now. Never yields."""
    log, start = following.log, following.start
    kept, rewind = (start.offset, None) if start.epoch == log.epoch else log.locate(start)
    steps = [Step(log.epoch, rewind)] if rewind is not None else []
    steps += [Step(log.epoch, span) for span in log.read(kept, 10**9)]
    return steps
