"""One greenlet per turn: a provider's events into the log, and exactly one ending."""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import gevent
from gevent.event import Event

from services.errors import ChatError, ContentBlocked, Internal, Interrupted, VendorTimeout
from services.events import (
    Notice,
    Reason,
    ReasoningDelta,
    Restarted,
    StateChanged,
    Status,
    Stop,
    TextDelta,
    TurnEnded,
    Usage,
)
from services.relay.log import Overtaken, TurnLog
from services.relay.watchdog import Deadline, Watchdog, throw_at_wait
from services.telemetry.metrics import SAMPLED_PIECES, Metrics

logger = logging.getLogger(__name__)

ProviderEvent = TextDelta | ReasoningDelta | Notice | Restarted | Stop

PIECES_BETWEEN_PAUSES = 32
"""A vendor whose bytes are always ready never makes us wait; others get their turn after this many pieces."""

MAX_ANSWER_CHARS = 1_000_000
"""Answer and reasoning together; a vendor that streams without end is cut here with `length`."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a turn came to its end, before it is paid and stored.

    Attributes:
        epoch, offset: Where in the log the ending will stand.
        fence: Of the worker that says so; a row that knows a higher one is another worker's to end.
        usage: As the vendor told; None when we must count.
        pieces: Entries of text and reasoning that were logged.
        error: What went wrong, for `failed` and `interrupted`.
    """

    status: Status
    reason: Reason
    epoch: int
    offset: int
    usage: Usage | None
    pieces: int
    text: str
    reasoning: str
    sha256: str
    error: ChatError | None = None
    result: Mapping[str, Any] | None = None
    fence: int = 1


class Meter(Protocol):
    """What the turn may still produce."""

    def spend(self, text: str) -> Reason | None:
        """Count a piece; why the turn must end after it, or None. May yield: it may ask the database."""


Settle = Callable[[Outcome], TurnEnded]
"""Pays and stores, once, and says what the log's last entry is. May yield; is repeated until it succeeds.

Raises `Overtaken` when another worker ends the turn."""


class _Stopped(BaseException):
    """Thrown into the turn's greenlet when someone stops it. Not an `Exception`: adapters must not catch it."""

    def __init__(self, status: Status, reason: Reason) -> None:
        super().__init__(status, reason)
        self.status = status
        self.reason = reason


class _LetGo(BaseException):
    """Thrown into the turn's greenlet when another worker has the turn, or shall have it."""


class Runner:
    """Runs one turn from its first state to its ending.

    Shared state: `_stop` and `_waiting` are written by this greenlet and read in the hub's; both are plain
    attributes, and nothing yields between reading one and acting on it.
    """

    def __init__(
        self,
        log: TurnLog,
        *,
        stream: Callable[[Deadline], Iterator[ProviderEvent]],
        meter: Meter,
        settle: Settle,
        deadline: Deadline,
        watchdog: Watchdog,
        metrics: Metrics,
        on_end: Callable[[], None] = lambda: None,
        resumes: bool = False,
    ) -> None:
        """
        Args:
            on_end: Called when the log has its ending, or the turn has been let go.
            resumes: The stream goes on after the text that the log has.
        """
        self.log = log
        self._resumes = resumes
        self.deadline = deadline
        self._stream = stream
        self._meter = meter
        self._settle = settle
        self._watchdog = watchdog
        self._metrics = metrics
        self._on_end = on_end
        self._greenlet: gevent.Greenlet | None = None
        self._waiting = False
        self._stop: _Stopped | _LetGo | None = None
        self._settling = False
        self._pieces = log.offset if resumes and (log.length or log.reasoning()) else 0
        self._chars = 0
        self._done = Event()
        self._began = time.monotonic()

    def start(self) -> None:
        """Begin; returns at once."""
        self._watchdog.guard(self)
        self._greenlet = gevent.spawn(self._run)

    def stop(self, status: Status = "stopped", reason: Reason = "user") -> None:
        """Ask for the end; returns at once. The vendor's connection is closed at the next turn of the hub."""
        if self._stop is None and self.log.ended is None:
            self._stop = _Stopped(status, reason)
            self._interrupt(self._stop)

    def let_go(self) -> None:
        """Leave the turn to another worker; returns at once. One that was stopped or is being settled ends here."""
        if self._stop is None and not self._settling:
            self._stop = _LetGo()
            self._interrupt(self._stop)

    def wait(self, timeout_s: float) -> TurnEnded | None:
        """The ending, once the log has it; None when it takes longer than `timeout_s`, or the turn was let go."""
        self._done.wait(timeout_s)
        return self.log.ended

    def late(self, which: str) -> None:
        if which == "total":
            self.stop("failed", "timeout")
        else:
            self.deadline.suspend()
            self._interrupt(VendorTimeout("The model did not answer in time."))

    def _interrupt(self, error: BaseException) -> None:
        if self._greenlet is not None:
            throw_at_wait(self._greenlet, lambda: self._waiting, error)

    def _run(self) -> None:
        try:
            self._end()
        except (_LetGo, Overtaken):
            logger.info("turn let go", extra={"turn": self.log.turn_id})
        self._done.set()
        self._on_end()

    def _end(self) -> None:
        try:
            outcome = self._outcome()
        except Overtaken:
            raise
        except Exception:  # the top of a greenlet: whatever it is, the turn ends
            logger.exception("turn failed inside the server", extra={"turn": self.log.turn_id})
            outcome = self._ending("failed", "internal", error=Internal("The server failed while answering."))
        finally:
            self._settling = True
            self._watchdog.release(self)
        ended = self._settle(outcome)
        self.log.append(ended)
        self._metrics.turns.labels(ended.status, ended.reason).inc()

    def _outcome(self) -> Outcome:
        stream = self._stream(self.deadline)
        try:
            return self._follow(stream)
        except _Stopped as stopped:
            return self._ending(stopped.status, stopped.reason, error=_error_of(stopped))
        except ContentBlocked as error:
            return self._ending("failed", "content_filter", error=error)
        except VendorTimeout as error:
            return self._ending("failed", "timeout", error=error)
        except ChatError as error:
            return self._ending("failed", "vendor", error=error)
        finally:
            close = getattr(stream, "close", None)
            if close is not None:
                close()  # hangs up, whatever happened

    def _follow(self, stream: Iterator[ProviderEvent]) -> Outcome:
        log, deadline, meter = self.log, self.deadline, self._meter
        answering = self._resumes
        if not answering:
            log.append(StateChanged("thinking"))
        restart_at = log.offset
        while True:
            if self._stop is not None:
                raise self._stop
            self._waiting = True
            try:
                event = next(stream, None)
            finally:
                self._waiting = False
            if isinstance(event, (TextDelta, ReasoningDelta)):
                deadline.piece()
                if not answering and event.kind == "text":
                    answering = True
                    log.append(StateChanged("answering"))
                if self._pieces % SAMPLED_PIECES == 0:
                    self._sample(log)
                log.append(event)
                self._pieces += 1
                self._chars += len(event.text)
                if (enough := meter.spend(event.text)) is not None:
                    return self._ending("done" if enough == "length" else "stopped", enough)
                if self._pieces % PIECES_BETWEEN_PAUSES == 0:
                    if self._chars > MAX_ANSWER_CHARS:
                        return self._ending("done", "length")
                    gevent.sleep(0)
            elif isinstance(event, Stop):
                return self._ending("done", event.reason, usage=event.usage, result=event.result)
            elif isinstance(event, Restarted):
                log.rewind(restart_at)
            elif isinstance(event, Notice):
                deadline.piece()
                self._pieces += event.kind == "final"
                log.append(event)
            else:
                raise RuntimeError("A provider ended without a Stop.")

    def _sample(self, log: TurnLog) -> None:
        """Have this piece's way to its viewers timed."""
        now = time.monotonic()
        if self._pieces == 0:
            self._metrics.first_piece.observe(now - self._began)
        log.stamp = (log.offset + 1, now)

    def _ending(
        self,
        status: Status,
        reason: Reason,
        *,
        usage: Usage | None = None,
        error: ChatError | None = None,
        result: Mapping[str, Any] | None = None,
    ) -> Outcome:
        text = self.log.answer()
        return Outcome(
            status=status,
            reason=reason,
            epoch=self.log.epoch,
            offset=self.log.offset + 1,
            usage=usage,
            pieces=self._pieces,
            text=text,
            reasoning=self.log.reasoning(),
            sha256=hashlib.sha256(text.encode()).hexdigest(),
            error=error,
            result=result,
            fence=self.log.fence,
        )


def _error_of(stopped: _Stopped) -> ChatError | None:
    if stopped.reason == "timeout":
        return VendorTimeout("The answer took longer than this server allows.")
    if stopped.reason == "shutdown":
        return Interrupted("The server is restarting; the answer was cut short.")
    return None
