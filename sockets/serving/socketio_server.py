"""The Socket.IO server: python-socketio's, with its front door replaced."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from time import monotonic
from typing import Any

import engineio
import socketio
from gevent.hub import get_hub
from socketio.exceptions import ConnectionRefusedError as ConnectRefused

from services.errors import Internal

from . import packets, strict_json
from .crew import crew
from .engine import Engine
from .limits import ServingLimits
from .packets import IncomingPacket, OutgoingPacket
from .rate import TokenBucket
from .violation import Violation

log = logging.getLogger("parley.serving")
quiet = logging.getLogger("parley.socketio")
quiet.setLevel(logging.WARNING)  # python-socketio logs sids and rooms at INFO


class Peer:
    """What this layer knows of one session. Touched without yielding in between."""

    __slots__ = ("address", "deadline", "faults", "gone", "joined", "joins", "waiting", "waiting_until")

    def __init__(self, address: str, joins: TokenBucket) -> None:
        self.address = address
        self.joined: dict[str, str] = {}  # namespace -> sid; empty while the connect handler decides
        self.joins = joins
        self.gone = False
        self.deadline: Any = None  # the timer that closes a session in no namespace
        self.waiting: IncomingPacket | None = None  # for attachments
        self.waiting_until = 0.0
        self.faults: tuple[str, ...] = ()  # handlers whose traceback was logged for this session


class SocketServer(socketio.Server):
    """Decodes strictly, dispatches only what a client may ask for, and closes who breaks the protocol.

    Differences that handlers see:

    - A connect handler is always called as `(sid, environ, auth)`. Its refusal
      `ConnectionRefusedError(message, {"code": ..., "message": ...})` reaches a JavaScript client as an error with that
      `message` and with `data` the object; on the wire the packet also carries `code` beside `message`.
    - `after_connect(sid)` of a `Namespace`, when it has one, is called when the client has been told that it is in, and
      before its first event: the place for what is emitted first.
    - `max_attachment_bytes` of a `Namespace` lets its clients send more than `max_message_bytes` in one packet's
      attachments.
    - `inline_events` of a `Namespace` names events whose handlers run at once, in order, on the connection's
      own reader; they must not wait for anything. All others run concurrently.
    - A handler that raises is logged, once per session with its traceback, and answered with the `internal` error.
    """

    def __init__(self, *, limits: ServingLimits, **options: Any) -> None:
        self._limits = limits
        self._peers: dict[str, Peer] = {}
        super().__init__(
            serializer=OutgoingPacket, json=strict_json, always_connect=False, logger=quiet, limits=limits, **options
        )
        self.namespaces: Iterable[str] = ()  # only those with handlers; python-socketio would always let "/" in

    def _engineio_server_class(self) -> type[engineio.Server]:
        return Engine

    # Sessions

    def _handle_eio_connect(self, eio_sid: str, environ: dict[str, Any]) -> None:
        super()._handle_eio_connect(eio_sid, environ)
        limits = self._limits
        peer = Peer(environ.get("REMOTE_ADDR", ""), TokenBucket(limits.joins_per_s, limits.joins_burst))
        self._peers[eio_sid] = peer
        self._expect_join(eio_sid, peer)

    def _handle_eio_disconnect(self, eio_sid: str, reason: str) -> None:
        peer = self._peers.pop(eio_sid)
        peer.gone = True
        self._cancel_deadline(peer)
        for namespace in list(peer.joined):
            self._leave(peer, namespace, reason)
        if not peer.joined:  # else a connect handler is still at work with it
            self.environ.pop(eio_sid, None)

    def _expect_join(self, eio_sid: str, peer: Peer) -> None:
        peer.deadline = get_hub().loop.timer(self._limits.join_s)
        peer.deadline.start(self._close_stranger, eio_sid, peer, update=True)

    def _close_stranger(self, eio_sid: str, peer: Peer) -> None:
        self._cancel_deadline(peer)
        session = self.eio.sockets.get(eio_sid)
        if session is not None and not peer.joined:
            session.violate(Violation("joined no namespace in time"))

    @staticmethod
    def _cancel_deadline(peer: Peer) -> None:
        if peer.deadline is not None:
            peer.deadline.stop()
            peer.deadline.close()
            peer.deadline = None

    # Packets

    def _handle_eio_message(self, eio_sid: str, data: str | bytes) -> None:
        peer = self._peers.get(eio_sid)
        if peer is None:
            return
        if isinstance(data, bytes):
            packet = self._attach(peer, data)
        else:
            limits = self._limits
            # Where a namespace takes more, it takes it as attachments: text is held to what all others are.
            if peer.joined and len(data) > limits.max_message_bytes:
                raise Violation("message too big", code=1009)
            packet = packets.decode(data, max_attachments=limits.max_attachments, room=self._room)
            if packet.missing:
                self._await_attachments(peer, packet)
        if packet.missing:
            return
        if packet.kind == packets.EVENT:
            self._event(eio_sid, peer, packet)
        elif packet.kind == packets.CONNECT:
            self._join(eio_sid, peer, packet.namespace, packet.data)
        elif packet.kind == packets.DISCONNECT:
            self._leave(peer, packet.namespace, self.reason.CLIENT_DISCONNECT)
            self._expect_another_join(eio_sid, peer)
        else:
            self._acknowledge(peer, packet)

    def _room(self, namespace: str) -> int:
        """Bytes of attachments that one packet of a namespace may have."""
        own: int = getattr(self.namespace_handlers.get(namespace), "max_attachment_bytes", 0)
        return max(own, self._limits.max_message_bytes)

    def _await_attachments(self, peer: Peer, packet: IncomingPacket) -> None:
        now = monotonic()
        if peer.waiting is not None and now < peer.waiting_until:
            raise Violation("two packets wait for attachments")
        if not peer.joined.get(packet.namespace):
            raise Violation("attachments announced from outside")
        peer.waiting = packet
        peer.waiting_until = now + self._limits.attachments_s

    def _attach(self, peer: Peer, attachment: bytes) -> IncomingPacket:
        packet = peer.waiting
        if packet is None or monotonic() > peer.waiting_until:
            raise Violation("attachment that nothing waits for")
        packet.attach(attachment)
        if not packet.missing:
            peer.waiting = None
        return packet

    def _acknowledge(self, peer: Peer, packet: IncomingPacket) -> None:
        sid = peer.joined.get(packet.namespace)
        # id 0 is the counter's own slot in python-socketio's table: taking it would break every later acknowledgement
        if sid and packet.id is not None and packet.id > 0:
            self.manager.trigger_callback(sid, packet.id, packet.data)

    # Events

    def _event(self, eio_sid: str, peer: Peer, packet: IncomingPacket) -> None:
        sid = peer.joined.get(packet.namespace)
        event = packet.data[0]
        if event in self.reserved_events:
            raise Violation("reserved event name")
        if not sid:
            self.eio.complaints.note("event outside its namespace", peer.address)
            return
        handler = self.namespace_handlers.get(packet.namespace)
        if not self.async_handlers or (handler is not None and event in getattr(handler, "inline_events", ())):
            self._run_event(eio_sid, peer, sid, packet)
        else:
            crew.run(self._run_event, eio_sid, peer, sid, packet)

    def _run_event(self, eio_sid: str, peer: Peer, sid: str, packet: IncomingPacket) -> None:
        event = packet.data[0]
        try:
            answer = self._trigger_event(event, packet.namespace, sid, *packet.data[1:])
        except Exception as error:  # noqa: BLE001 - the top of the handler; logged there
            self._log_fault(peer, event, packet.namespace, error)
            answer = {"ok": False, "error": Internal("The server failed at this request.").to_wire()}
        if packet.id is not None and answer is not self.not_handled:
            data = [] if answer is None else list(answer) if isinstance(answer, tuple) else [answer]
            self._send_packet(eio_sid, OutgoingPacket(packets.ACK, data, packet.namespace, packet.id))

    def _log_fault(self, peer: Peer, event: str, namespace: str, error: Exception) -> None:
        if event not in peer.faults and len(peer.faults) < 8:
            peer.faults += (event,)
            log.error("A handler of %s failed at %.64r.", namespace, event, exc_info=error)

    # Joining and leaving

    def _join(self, eio_sid: str, peer: Peer, namespace: str, auth: Any) -> None:
        if not peer.joins.take():
            raise Violation("too many joins")
        if namespace not in self.namespace_handlers and namespace not in self.handlers:
            self._refuse(eio_sid, namespace, {"code": "not_found", "message": "There is no such namespace."})
            return
        if namespace in peer.joined:
            self._refuse(
                eio_sid, namespace, {"code": "conflict", "message": "The session is in this namespace already."}
            )
            return
        peer.joined[namespace] = ""
        sid = self.manager.pre_connect(eio_sid, namespace)
        refusal = self._ask(peer, namespace, sid, self.environ[eio_sid], auth)
        if refusal is not None:
            del peer.joined[namespace]
            self.manager.disconnect(sid, namespace, ignore_queue=True)
            self._refuse(eio_sid, namespace, refusal)
        else:
            peer.joined[namespace] = sid
            self.manager.connect(sid, namespace)
        if peer.gone:  # while the handler worked; what it set up must be undone
            self._leave(peer, namespace, self.reason.TRANSPORT_CLOSE)
            self.environ.pop(eio_sid, None)
        elif refusal is None:
            self._welcome(eio_sid, peer, namespace, sid)

    def _welcome(self, eio_sid: str, peer: Peer, namespace: str, sid: str) -> None:
        session = self.eio.sockets.get(eio_sid)
        if session is None:
            return  # it closed while the handler worked, and _handle_eio_disconnect is about to run
        self._cancel_deadline(peer)
        self.eio.joined(session, self._room(namespace))
        self._send_packet(eio_sid, OutgoingPacket(packets.CONNECT, {"sid": sid}, namespace))
        after = getattr(self.namespace_handlers.get(namespace), "after_connect", None)
        if after is not None:
            try:
                after(sid)
            except Exception as error:  # noqa: BLE001 - the top of the handler; logged there
                self._log_fault(peer, "after_connect", namespace, error)

    def _ask(self, peer: Peer, namespace: str, sid: str, environ: dict[str, Any], auth: Any) -> dict[str, Any] | None:
        try:
            answer = self._trigger_event("connect", namespace, sid, environ, auth)
        except ConnectRefused as error:
            return dict(error.error_args)
        except Exception as error:  # noqa: BLE001 - the top of the handler; logged there
            self._log_fault(peer, "connect", namespace, error)
            return Internal("The server failed at this connect.").to_wire()
        return {"code": "forbidden", "message": "The connection was refused."} if answer is False else None

    def _refuse(self, eio_sid: str, namespace: str, reason: dict[str, Any]) -> None:
        data = reason.get("data")
        code = reason.get("code") or (data.get("code") if isinstance(data, dict) else None) or "forbidden"
        wire = {"code": code, "message": reason["message"], "data": data or {**reason, "code": code}}
        self._send_packet(eio_sid, OutgoingPacket(packets.CONNECT_ERROR, wire, namespace))

    def _leave(self, peer: Peer, namespace: str, reason: str) -> None:
        sid = peer.joined.get(namespace)
        if not sid:
            return
        del peer.joined[namespace]
        if peer.waiting is not None and peer.waiting.namespace == namespace:
            peer.waiting = None
        self.manager.pre_disconnect(sid, namespace)
        try:
            self._trigger_event("disconnect", namespace, sid, reason)
        except Exception as error:  # noqa: BLE001 - the top of the handler; logged there
            self._log_fault(peer, "disconnect", namespace, error)
        self.manager.disconnect(sid, namespace, ignore_queue=True)

    def _expect_another_join(self, eio_sid: str, peer: Peer) -> None:
        if not peer.joined and not peer.gone and peer.deadline is None:
            self._expect_join(eio_sid, peer)

    def disconnect(self, sid: str, namespace: str | None = None, ignore_queue: bool = False) -> None:
        """Put a client of this worker out of a namespace."""
        namespace = namespace or "/"
        eio_sid = self.manager.eio_sid_from_sid(sid, namespace)
        peer = self._peers.get(eio_sid) if eio_sid else None
        if peer is None or peer.joined.get(namespace) != sid:
            return
        self._send_packet(eio_sid, OutgoingPacket(packets.DISCONNECT, namespace=namespace))
        self._leave(peer, namespace, self.reason.SERVER_DISCONNECT)
        self._expect_another_join(eio_sid, peer)
