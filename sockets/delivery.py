"""From a turn's log to its viewers: each piece is encoded once, and nobody waits for anybody.

A viewer is a cursor in a log. When the log grows, or the viewer's window is over, or its connection has drained,
the cursor moves on by whatever can be offered; nothing else is kept for it. A viewer that stops reading therefore
costs what its connection may hold (`MAX_PENDING_BYTES`), and gets everything later, from the log.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from enum import Enum
from typing import Any, Protocol

import gevent
import socketio

from services.errors import RateLimited
from services.relay.log import Position, TurnLog
from services.telemetry.metrics import Metrics
from sockets.frames import Encoder
from sockets.pacer import Pacer
from sockets.serving.frame import Frame

MAX_FOLLOWED = 256
"""Turns one connection may follow at once."""


class Outlet(Protocol):
    """A connection as a viewer sees it; `EngineSocket` is one."""

    def offer(self, frame: Frame) -> bool:
        """Send, or say False when too much waits for this client already. Never yields."""

    def when_drained(self, callback: Callable[[], None]) -> None:
        """Call back once, when there is room again or the connection is over."""


class _Mood(Enum):
    READY = "sends what comes at once"
    GATHERING = "lets pieces gather until the window is over"
    BLOCKED = "waits until the connection has drained"
    CLOSED = "is gone"


class Viewer:
    """One connection's view of one turn. Never yields, in whichever greenlet it is woken."""

    __slots__ = (
        "_cursor",
        "_encoder",
        "_epoch",
        "_log",
        "_mood",
        "_observe_delay",
        "_on_end",
        "_outlet",
        "_pacer",
        "_window_s",
    )

    def __init__(
        self,
        log: TurnLog,
        position: Position,
        *,
        outlet: Outlet,
        encoder: Encoder,
        pacer: Pacer,
        window_s: float,
        observe_delay: Callable[[float], None],
        on_end: Callable[[], None],
    ) -> None:
        self._log = log
        self._epoch = position.epoch
        self._cursor = position.offset
        self._outlet = outlet
        self._encoder = encoder
        self._pacer = pacer
        self._window_s = window_s
        self._observe_delay = observe_delay
        self._on_end = on_end
        self._mood = _Mood.READY

    def start(self) -> None:
        """Send what is there and follow what comes."""
        if self._mood is not _Mood.CLOSED:
            self._log.watch(self)
            self._flush()

    def close(self) -> None:
        self._mood = _Mood.CLOSED
        self._log.unwatch(self)

    def wake(self, urgent: bool) -> None:
        if self._mood is _Mood.READY or (urgent and self._mood is _Mood.GATHERING):
            self._flush()

    def _window_over(self) -> None:
        if self._mood is _Mood.GATHERING:
            self._mood = _Mood.READY
            self._flush()

    def _drained(self) -> None:
        if self._mood is _Mood.BLOCKED:
            self._mood = _Mood.READY
            self._flush()

    def _flush(self) -> None:
        log, outlet = self._log, self._outlet
        if self._epoch != log.epoch:
            offset, rewind = log.locate(Position(self._epoch, self._cursor))
            if rewind is not None and not outlet.offer(self._encoder.rewind(log, rewind)):
                return self._block()
            self._epoch, self._cursor = log.epoch, offset
        sent = False
        while self._cursor < log.offset:
            for frame, last in self._encoder.after(log, self._cursor):
                if not outlet.offer(frame):
                    return self._block()
                self._cursor = last
                sent = True
        if log.stamp is not None and log.stamp[0] <= self._cursor:
            self._observe_delay(time.monotonic() - log.stamp[1])
            log.stamp = None
        if log.ended is not None:
            self.close()
            self._on_end()
        elif sent and self._window_s > 0 and log.length and self._mood is _Mood.READY:
            # Not before the answer's first piece, which is never held back.
            self._mood = _Mood.GATHERING
            self._pacer.after(self._window_s, self._window_over)
        return None

    def _block(self) -> None:
        self._mood = _Mood.BLOCKED
        self._outlet.when_drained(self._drained)


class Delivery:
    """Every viewer of this worker, by connection and turn."""

    def __init__(self, server: socketio.Server, pacer: Pacer, metrics: Metrics) -> None:
        self._server = server
        self._metrics = metrics
        self._pacer = pacer
        self._encoders: dict[str, Encoder] = {}
        self._viewers: dict[tuple[str, str], dict[str, Viewer]] = {}

    @property
    def viewers(self) -> int:
        return sum(map(len, self._viewers.values()))

    def send(self, namespace: str, sid: str, event: str, payload: dict[str, Any]) -> None:
        """One event to one connection, if it is still there. Never yields."""
        outlet = self._outlet(namespace, sid)
        if outlet is not None:
            outlet.offer(self._encoder(namespace).event(event, payload))

    def send_bytes(
        self, namespace: str, sid: str, event: str, payload: dict[str, Any], field: str, data: bytes
    ) -> bool:
        """One event with an attachment as its field `field`; False when it cannot be taken now. Never yields."""
        outlet = self._outlet(namespace, sid)
        return outlet is not None and outlet.offer(self._encoder(namespace).binary(event, payload, field, data))

    def follow(self, namespace: str, sid: str, log: TurnLog, position: Position, *, window_s: float) -> None:
        """Send `sid` what follows `position`, after the acknowledgement of the event being handled has gone.

        Following a turn again moves the viewer to the new position.

        Raises:
            RateLimited: The connection follows too many turns.
        """
        outlet = self._outlet(namespace, sid)
        if outlet is None:
            return
        viewers = self._viewers.setdefault((namespace, sid), {})
        if len(viewers) >= MAX_FOLLOWED and log.turn_id not in viewers:
            raise RateLimited(f"A connection can follow {MAX_FOLLOWED} turns; detach from one first.")
        if (previous := viewers.get(log.turn_id)) is not None:
            previous.close()
        viewer = Viewer(
            log,
            position,
            outlet=outlet,
            encoder=self._encoder(namespace),
            pacer=self._pacer,
            window_s=window_s,
            observe_delay=self._metrics.relay_delay.observe,
            on_end=lambda: self._ended(namespace, sid, log.turn_id, viewer),
        )
        viewers[log.turn_id] = viewer
        self.after_reply(viewer.start)

    def followers(self, namespace: str, turn_id: str) -> list[str]:
        """The connections that follow a turn now."""
        return [sid for (where, sid), viewers in self._viewers.items() if where == namespace and turn_id in viewers]

    def detach(self, namespace: str, sid: str, turn_id: str) -> None:
        """Stop following one turn; harmless when it was not followed."""
        viewer = self._viewers.get((namespace, sid), {}).pop(turn_id, None)
        if viewer is not None:
            viewer.close()

    def drop(self, namespace: str, sid: str) -> None:
        """The connection has left."""
        for viewer in self._viewers.pop((namespace, sid), {}).values():
            viewer.close()

    @staticmethod
    def after_reply(callback: Callable[[], None]) -> None:
        """Run `callback` at the hub's next turn: the handler's reply is written before the hub gets there."""
        gevent.get_hub().loop.run_callback(callback)

    def _ended(self, namespace: str, sid: str, turn_id: str, viewer: Viewer) -> None:
        viewers = self._viewers.get((namespace, sid))
        if viewers is not None and viewers.get(turn_id) is viewer:
            del viewers[turn_id]

    def _encoder(self, namespace: str) -> Encoder:
        if (encoder := self._encoders.get(namespace)) is None:
            encoder = self._encoders[namespace] = Encoder(namespace)
        return encoder

    def _outlet(self, namespace: str, sid: str) -> Outlet | None:
        eio_sid = self._server.manager.eio_sid_from_sid(sid, namespace)
        outlet: Outlet | None = self._server.eio.sockets.get(eio_sid) if eio_sid else None
        return outlet
