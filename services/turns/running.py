"""A turn as a worker has it: what it is made of, how it stands, and how its end is waited for."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import gevent
from gevent.event import Event

from services.relay.log import TurnLog
from services.relay.redis_log import RedisLog
from services.relay.runner import Meter, ProviderEvent, Runner, Settle
from services.relay.watchdog import Deadline, Limits

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Launch:
    """A turn that has its rows and its reservation, and what it is made of."""

    user_id: str
    turn_id: str
    conversation: str
    message: str
    stream: Callable[[Deadline], Iterator[ProviderEvent]]
    meter: Meter
    settle: Settle
    limits: Limits | None = None
    """Other limits than the settings' for text."""
    order: bytes = b"-"
    """What another worker needs to go on with it; `-` for a turn that can only be ended there."""
    order_now: Callable[[], bytes] | None = None
    """The same as of now, where it changes while the turn runs."""
    patience_ms: int = 0
    """How long the turn waits for its user to come to another worker when this one is gone."""
    on_left: Callable[[], None] = lambda: None
    """Called when the turn has been left to another worker."""


@dataclass(slots=True)
class RunningTurn:
    """A turn that this worker runs."""

    user_id: str
    conversation: str
    message: str
    runner: Runner
    launch: Launch

    @property
    def log(self) -> TurnLog:
        return self.runner.log

    def bring_up_to_date(self) -> None:
        """Have a worker that may take it over told how things stand now. Never yields."""
        if self.launch.order_now is not None and isinstance(self.log, RedisLog):
            self.log.renew_order(self.launch.order_now())

    def to_wire(self) -> dict[str, Any]:
        return _place_of(self.log, self.conversation, self.message)


@dataclass(frozen=True, slots=True)
class RemoteTurn:
    """A turn that another worker runs."""

    conversation: str
    message: str
    log: TurnLog

    def to_wire(self) -> dict[str, Any]:
        return _place_of(self.log, self.conversation, self.message)


def _place_of(log: TurnLog, conversation: str, message: str) -> dict[str, Any]:
    return {
        "turn": log.turn_id,
        "conversation": conversation,
        "message": message,
        "epoch": log.epoch,
        "offset": log.offset,
    }


@dataclass(frozen=True, slots=True)
class Stopped:
    """A turn that has ended, by the stop or before it."""

    turn: str
    status: str
    offset: int
    length: int


class _Ending:
    """Waits for a log's last entry."""

    def __init__(self) -> None:
        self.came = Event()

    def wake(self, urgent: bool) -> None:
        if urgent:
            self.came.set()


def await_ending(log: TurnLog, timeout_s: float) -> None:
    """Wait until `log` has ended, `timeout_s` at most."""
    watcher = _Ending()
    log.watch(watcher)
    try:
        with gevent.Timeout(timeout_s, False):
            while log.ended is None:
                watcher.came.wait()
                watcher.came.clear()
    finally:
        log.unwatch(watcher)


def note_ending(launch: Launch, log: TurnLog, lasted_s: float) -> None:
    if (ended := log.ended) is not None:
        logger.info(
            "turn ended",
            extra={
                "turn": launch.turn_id,
                "user": launch.user_id,
                "status": ended.status,
                "reason": ended.reason,
                "code": (ended.error or {}).get("code", ""),
                "entries": log.offset,
                "charged": ended.charged,
                "duration_ms": round(lasted_s * 1000),
            },
        )
