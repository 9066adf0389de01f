"""One Engine.IO session, whatever transport it is on."""

from __future__ import annotations

import base64
import binascii
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from engineio import packet as engineio_packet
from gevent.hub import get_hub

from .crew import crew
from .frame import TEXT, Frame, websocket_frame
from .heartbeat import Heartbeat
from .mailbox import Mailbox
from .rate import TokenBucket
from .violation import Violation
from .websocket import Message, WebSocket

if TYPE_CHECKING:
    from .engine import Engine

log = logging.getLogger("parley.serving")

PING_FRAME, NOOP_FRAME, CLOSE_FRAME = Frame(b"2"), Frame(b"6"), Frame(b"1")
SHUTDOWN = "server shutdown"
"""Why a session ends whose client is to come back, to another worker or after a restart."""
_UPGRADING_POLL_S = 0.1
_PROBE_ANSWER = websocket_frame(TEXT, b"3probe")


class EngineSocket:
    """What python-socketio and delivery see of a client. Nothing here yields, except `poll`.

    It stands in for `engineio.socket.Socket` with the same names, but has no queue and no greenlet: over WebSocket a
    packet goes from `send` or `offer` straight into the kernel, in order; over polling it waits in a `Mailbox`. During
    an upgrade packets wait in the mailbox and go on over the WebSocket in the same order.

    Attributes:
        sid: The session's secret; never log it.
        address_counted: Its address while the engine counts it as a stranger's, else empty.
        credential: What the handshake was authorised with; later requests must bring the same.
        upgraded: Whether it is on WebSocket.
        closed: No packet will be taken or delivered any more.
    """

    __slots__ = (
        "_drained",
        "_engine",
        "_heartbeat",
        "_mailbox",
        "_packets",
        "_probe",
        "_probe_timer",
        "_probed",
        "_returns",
        "_said_goodbye",
        "_websocket",
        "address",
        "address_counted",
        "closed",
        "credential",
        "max_message_bytes",
        "posting",
        "session",
        "sid",
        "upgraded",
    )

    def __init__(self, engine: Engine, sid: str, *, address: str, credential: str) -> None:
        limits = engine.limits
        self.sid = sid
        self.address = address
        self.address_counted = ""
        self.credential = credential
        self.session: dict[str, Any] = {}
        self.upgraded = False
        self.closed = False
        self.posting = False
        self._said_goodbye = False
        self._returns = False
        self.max_message_bytes = limits.max_message_bytes_before_join
        self._engine = engine
        self._packets = TokenBucket(limits.packets_per_s, limits.packets_burst)
        self._mailbox: Mailbox | None = None
        self._websocket: WebSocket | None = None
        self._probe: WebSocket | None = None
        self._probed = False
        self._probe_timer: Any = None
        self._drained: list[Callable[[], None]] = []
        self._heartbeat = Heartbeat(
            interval_s=limits.ping_interval_s, timeout_s=limits.ping_timeout_s, ping=self._ping, expired=self._expire
        )
        self._heartbeat.start()

    # What is sent

    def offer(self, frame: Frame) -> bool:
        """Send a frame, or say False when too much waits for this client already or it is gone."""
        websocket = self._websocket
        if websocket is not None:
            return websocket.offer(frame.websocket)
        mailbox = self._mailbox
        return mailbox is not None and mailbox.offer(frame)

    def send(self, pkt: engineio_packet.Packet) -> None:
        """Send a packet that has no other way to the client; a client too slow even for this is cut."""
        if not self.closed and not self.offer(Frame.of(pkt)):
            self.close("too slow", abort=True)

    def when_drained(self, callback: Callable[[], None]) -> None:
        """Call back once, when less than a quarter of the bound waits or the session is over.

        The hub calls, so the callback must not yield, and never before this method returned.
        """
        self._drained.append(callback)
        if self.closed or self._is_low:
            get_hub().loop.run_callback(self._tell_drained)

    @property
    def pending_bytes(self) -> int:
        """Bytes that wait for this client to take them."""
        carrier = self._websocket or self._mailbox
        return carrier.pending_bytes if carrier is not None else 0

    @property
    def _is_low(self) -> bool:
        carrier = self._websocket or self._mailbox
        return carrier is None or carrier.is_low

    def _tell_drained(self) -> None:
        if self._drained and (self.closed or self._is_low):
            callbacks, self._drained = self._drained, []
            for callback in callbacks:
                callback()

    # What arrives

    def allow(self, max_message_bytes: int) -> None:
        """Raise the limit on messages once the client is known."""
        self.max_message_bytes = max_message_bytes
        if self._websocket is not None:
            self._websocket.allow(max_message_bytes)

    def receive(self, payload: Message) -> None:
        """Act on one packet. May yield: it runs the application's handlers.

        Raises:
            Violation: The packet is malformed; the caller closes the session.
        """
        if isinstance(payload, bytes):
            self._engine.deliver(self.sid, payload)
            return
        kind = payload[:1]
        if kind == "4":
            self._engine.deliver(self.sid, payload[1:])
        elif payload == "3":
            self._heartbeat.pong()
        elif payload == "1":
            self._said_goodbye = True
            self.close("client disconnect")
        else:
            raise Violation("unknown Engine.IO packet")

    def receive_payload(self, body: bytes) -> bool:
        """Act on the body of a POST, all of it or none.

        Returns:
            False when the session ended under it, other than by the client's own word, and some of it was not taken.

        Raises:
            Violation: It is malformed or holds too many packets.
        """
        try:
            packets = body.decode().split("\x1e")
        except UnicodeDecodeError:
            raise Violation("payload is not UTF-8") from None
        if len(packets) > self._engine.limits.max_packets_per_post:
            raise Violation("too many packets in one payload")
        self._count(len(packets))
        for payload in [_decoded(packet) for packet in packets]:
            if self.closed:
                return self._said_goodbye
            self.receive(payload)
        return True

    def _count(self, packets: int) -> None:
        if not self._packets.take(packets):
            raise Violation("too many packets a second")

    def _arrived(self, messages: list[Message]) -> bool:
        if messages == ["3"]:  # by far the most frequent message of an idle client
            self._heartbeat.pong()
            return False
        crew.run(self._work_through, messages)
        return True

    def _work_through(self, messages: list[Message]) -> None:
        websocket = self._websocket
        try:
            self._count(len(messages))
            for payload in messages:
                if self.closed:
                    break
                self.receive(payload)
        except Violation as violation:
            self.violate(violation)
        finally:
            if websocket is not None:
                websocket.resume()

    def violate(self, violation: Violation) -> None:
        """Close for a peer's fault, and say so in the log, seldom."""
        self._engine.complaints.add(violation.kind, self.address)
        self.close(violation.kind, code=violation.code)

    # WebSocket

    def ride(self, websocket: WebSocket) -> None:
        """Go over this WebSocket from the start."""
        self._websocket = websocket
        self.upgraded = True

    def new_websocket(self, sock: Any, on_freed: Callable[[], None]) -> WebSocket:
        return WebSocket(
            sock,
            self._engine.limits,
            on_messages=self._arrived,
            on_close=self._transport_closed,
            on_drained=self._tell_drained,
            on_freed=on_freed,
        )

    def _transport_closed(self, code: int, reason: str) -> None:
        if self.closed:
            return
        if reason and code != 1006:
            self._engine.complaints.add(reason, self.address)
        self.close(reason or "transport close")

    # Upgrade from polling

    def may_upgrade(self) -> bool:
        """Whether a WebSocket may try to take this session over."""
        return not self.closed and not self.upgraded and self._probe is None

    def probe(self, sock: Any, on_freed: Callable[[], None]) -> WebSocket:
        """Let a WebSocket try to take over; polling goes on until it has."""
        websocket = WebSocket(
            sock,
            self._engine.limits,
            on_messages=self._probing,
            on_close=self._probe_closed,
            on_drained=self._tell_drained,
            on_freed=on_freed,
        )
        self._probe = websocket
        self._probed = False
        self._probe_timer = get_hub().loop.timer(self._engine.limits.upgrade_s)
        self._probe_timer.start(websocket.close, 1008, "upgrade timed out")
        return websocket

    def _probing(self, messages: list[Message]) -> bool:
        websocket = self._probe
        if websocket is None:
            return self._arrived(messages)
        if not self._probed and messages[0] == "2probe":
            self._probed = True
            websocket.offer(_PROBE_ANSWER)
            self._end_poll()
            del messages[0]
        if messages and messages[0] == "5" and self._probed:
            self._take_over(websocket)
            del messages[0]
            return bool(messages) and self._arrived(messages)
        if messages:
            websocket.close(1008, "bad upgrade")
        return False

    def _take_over(self, websocket: WebSocket) -> None:
        self._forget_probe()
        self._websocket = websocket
        self.upgraded = True
        websocket.allow(self.max_message_bytes)
        mailbox, self._mailbox = self._mailbox, None
        if mailbox is not None:
            waiting = b"".join(frame.websocket for frame in mailbox.take_now())
            if waiting:
                websocket.offer(waiting)
            mailbox.wake()
        self._tell_drained()

    def _end_poll(self) -> None:
        if self._mailbox is not None and self._mailbox.reading:
            self._mailbox.wake()

    def _probe_closed(self, code: int, reason: str) -> None:
        if self._probe is not None:
            self._forget_probe()
        else:
            self._transport_closed(code, reason)

    def _forget_probe(self) -> None:
        self._probe = None
        if self._probe_timer is not None:
            self._probe_timer.stop()
            self._probe_timer.close()
            self._probe_timer = None

    # Polling

    @property
    def polled(self) -> bool:
        """Whether a GET is waiting right now."""
        return self._mailbox is not None and self._mailbox.reading

    def settle(self) -> None:
        """Go over polling from the start."""
        self._mailbox = Mailbox(self._engine.limits.max_pending_bytes)

    def poll(self) -> list[Frame]:
        """Wait for packets; a NOOP when the poll must end without any, a CLOSE when the session is over. Yields.

        Nothing where the client is to open another session: a CLOSE would tell python-engineio's client not to.
        """
        mailbox = self._mailbox
        if mailbox is None:
            if self._returns:
                return []
            return [CLOSE_FRAME if self.closed else NOOP_FRAME]
        limits = self._engine.limits
        # Between the probe and the takeover a client finishes its last poll, which may only reach us after the probe.
        probed = self._probe is not None and self._probed
        frames = mailbox.take(_UPGRADING_POLL_S if probed else limits.ping_interval_s + limits.ping_timeout_s)
        if self.closed:
            return frames if self._returns else [*frames, CLOSE_FRAME]
        self._tell_drained()
        return frames or [NOOP_FRAME]

    # The end

    def _ping(self) -> None:
        if not self.offer(PING_FRAME):
            self.close("too slow", abort=True)

    def _expire(self) -> None:
        self.close("ping timeout", abort=True)

    def close(self, reason: str = "server disconnect", *, code: int = 1000, abort: bool = False) -> None:
        """End the session; the application's disconnect handlers run soon, in a greenlet of their own.

        Args:
            reason: Handed to the disconnect handlers.
            code: The WebSocket close code.
            abort: Cut the connection without a goodbye, because the peer would not take it.
        """
        if self.closed:
            return
        self.closed = True
        self._returns = reason == SHUTDOWN
        self._heartbeat.stop()
        websocket, self._websocket = self._websocket, None
        probe = self._probe
        self._forget_probe()
        mailbox, self._mailbox = self._mailbox, None
        if mailbox is not None:
            mailbox.wake()
        if websocket is not None and abort:
            websocket.abort(reason)
        elif websocket is not None:
            websocket.close(code, reason)
        if probe is not None:
            probe.close(1001, reason)
        self._engine.ended(self, reason)
        if self._drained:
            get_hub().loop.run_callback(self._tell_drained)


def _decoded(packet: str) -> Message:
    if not packet.startswith("b"):
        return packet
    try:
        return base64.b64decode(packet[1:], validate=True)
    except (binascii.Error, ValueError):
        raise Violation("bad base64") from None
