"""The Engine.IO server: sessions, and the HTTP requests that carry them (Engine.IO protocol, version 4)."""

from __future__ import annotations

import hashlib
import hmac
import io
import logging
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import parse_qs

import engineio
import gevent
import orjson
from engineio import packet as engineio_packet

from services.ids import new_secret

from .complaints import Complaints
from .crew import crew
from .engine_socket import SHUTDOWN, EngineSocket
from .frame import Frame
from .limits import ServingLimits
from .origins import OriginPolicy
from .upgrade import UPGRADE_KEY, BadUpgrade, Upgrade
from .violation import Violation

StartResponse = Callable[..., Any]
Environ = dict[str, Any]

_BATCH_S = 0.05

quiet = logging.getLogger("parley.engineio")
quiet.setLevel(logging.WARNING)  # python-engineio logs session ids and message texts at INFO


class Refused(Exception):
    """A request that is answered with an error, in the shape Engine.IO clients know."""

    def __init__(self, status: str, code: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.body = orjson.dumps({"code": code, "message": message})


def bad_request(message: str) -> Refused:
    return Refused("400 Bad Request", 3, message)


def unknown_session() -> Refused:
    return Refused("400 Bad Request", 1, "Session ID unknown")


def cookie_named(name: str, environ: Environ) -> str:
    """The value of a request's cookie; empty when it has none."""
    for pair in environ.get("HTTP_COOKIE", "").split(";"):
        key, _, value = pair.strip().partition("=")
        if key == name:
            return str(value)
    return ""


class Engine(engineio.Server):
    """python-engineio's server with its transports replaced; python-socketio uses it unchanged.

    Args:
        credential: Tells what a request is authorised with. A session opened with a credential answers only requests
            that bring the same, so a leaked session id alone reads nobody's messages.
    """

    def __init__(
        self,
        *,
        limits: ServingLimits,
        origins: OriginPolicy,
        credential: Callable[[Environ], str],
        **options: Any,
    ) -> None:
        options.update(
            async_mode="gevent",
            ping_interval=limits.ping_interval_s,
            ping_timeout=limits.ping_timeout_s,
            max_http_buffer_size=limits.max_message_bytes,
            cors_allowed_origins=[],
            monitor_clients=False,
            logger=quiet,
        )
        super().__init__(**options)
        self.limits = limits
        self.origins = origins
        self.complaints = Complaints()
        self._credential = credential
        self._unjoined: Counter[str] = Counter()
        self._stopping = False
        #: Begins the id of every session where there are several workers, so that requests find theirs.
        self.worker_name = ""

    # For python-socketio

    def generate_id(self) -> str:
        """256 random bits: for a client without a credential, the session id is its only secret."""
        return f"{self.worker_name}.{new_secret()}" if self.worker_name else new_secret()

    def send_packet(self, sid: str, pkt: engineio_packet.Packet) -> None:
        session = self.sockets.get(sid)
        if session is not None:
            session.send(pkt)

    def disconnect(self, sid: str | None = None) -> None:
        """End one session, or all of them. Never yields."""
        for session in list(self.sockets.values()) if sid is None else [self.sockets.get(sid)]:
            if session is not None:
                session.close()

    def start_background_task(self, target: Callable[..., Any], *args: Any, **kwargs: Any) -> gevent.Greenlet:
        return gevent.spawn(target, *args, **kwargs)

    # For sessions

    def deliver(self, sid: str, data: str | bytes) -> None:
        """Hand a message to the application. May yield. Raises `Violation` when the application calls it malformed."""
        self.handlers["message"](sid, data)

    def joined(self, session: EngineSocket, max_message_bytes: int) -> None:
        """The application knows this client now: it counts no longer as a stranger, and may send so much at once."""
        session.allow(max(max_message_bytes, session.max_message_bytes))
        self._forget_stranger(session)

    def ended(self, session: EngineSocket, reason: str) -> None:
        """A session closed. Never yields."""
        if self.sockets.pop(session.sid, None) is not None:
            self._forget_stranger(session)
            crew.run(self.handlers["disconnect"], session.sid, reason)

    def goodbye(self) -> None:
        """The worker stops: tell every client to come back elsewhere, let nobody new in. Never yields."""
        self._stopping = True
        for session in list(self.sockets.values()):
            session.close(SHUTDOWN, code=1001)

    def send_away(self, per_second: float, within_s: float) -> None:
        """`goodbye`, but so many at a time that those they go to can take them. Yields, for up to `within_s`."""
        self._stopping = True
        sessions = list(self.sockets.values())
        batch = max(1, round(max(per_second, len(sessions) / within_s) * _BATCH_S))
        for start in range(0, len(sessions), batch):
            for session in sessions[start : start + batch]:
                session.close(SHUTDOWN, code=1001)
            gevent.sleep(_BATCH_S)

    def _forget_stranger(self, session: EngineSocket) -> None:
        address, session.address_counted = session.address_counted, ""
        if address:
            self._unjoined[address] -= 1
            if not self._unjoined[address]:
                del self._unjoined[address]

    # Requests

    def handle_request(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """The WSGI application under the Socket.IO path."""
        origin = environ.get("HTTP_ORIGIN")
        try:
            if not self.origins.allows(origin, environ.get("HTTP_HOST")):
                origin = None
                self.complaints.add("origin not allowed", environ.get("REMOTE_ADDR", ""))
                raise Refused("403 Forbidden", 4, "This origin is not allowed; see ALLOWED_ORIGINS.")
            status, body = self._route(environ)
        except Refused as refusal:
            status, body = refusal.status, refusal.body
        if body is None:
            return []  # the connection is a WebSocket now
        headers = [
            ("Content-Type", "application/json" if status[0] == "4" else "text/plain; charset=UTF-8"),
            ("Cache-Control", "no-store"),
            ("Vary", "Origin"),
        ]
        if origin:
            headers += [("Access-Control-Allow-Origin", origin)]
            if self.origins.trusts(origin, environ.get("HTTP_HOST")):
                headers += [("Access-Control-Allow-Credentials", "true")]
        if environ["REQUEST_METHOD"] == "OPTIONS":
            headers += [
                ("Access-Control-Allow-Methods", "GET, POST, OPTIONS"),
                ("Access-Control-Allow-Headers", "Authorization, Content-Type"),
            ]
        start_response(status, headers)
        return [body]

    def _route(self, environ: Environ) -> tuple[str, bytes | None]:
        method = environ["REQUEST_METHOD"]
        if method == "OPTIONS":
            return "204 No Content", b""
        if method not in ("GET", "POST"):
            raise Refused("405 Method Not Allowed", 2, "Bad handshake method")
        try:
            query = parse_qs(environ.get("QUERY_STRING", ""), max_num_fields=32)
        except ValueError:
            raise bad_request("Bad request") from None
        transport = query.get("transport", [""])[0]
        if transport not in self.transports:
            raise Refused("400 Bad Request", 0, "Transport unknown")
        if query.get("EIO") != ["4"]:
            raise Refused("400 Bad Request", 5, "Unsupported protocol version")
        if "j" in query:
            raise bad_request("JSONP is not served")
        upgrade: Upgrade | None = environ.get(UPGRADE_KEY)
        if (transport == "websocket") != (upgrade is not None):
            raise bad_request("Bad upgrade")
        if "sid" not in query:
            if method != "GET":
                raise Refused("400 Bad Request", 2, "Bad handshake method")
            return self._open(environ, upgrade)
        session = self._session(query["sid"][0], environ)
        if upgrade is not None:
            return self._upgrade(session, upgrade)
        if session.upgraded:
            raise bad_request("Bad request")
        if method == "GET":
            return self._poll(session)
        return self._post(session, environ)

    def _session(self, sid: str, environ: Environ) -> EngineSocket:
        session: EngineSocket | None = self.sockets.get(sid)
        if session is None:
            raise unknown_session()
        if session.credential and not hmac.compare_digest(session.credential, self._fingerprint(environ)):
            raise Refused("403 Forbidden", 4, "This session was opened with another credential.")
        return session

    def _fingerprint(self, environ: Environ) -> str:
        credential = self._credential(environ)
        return hashlib.sha256(credential.encode()).hexdigest() if credential else ""

    def _open(self, environ: Environ, upgrade: Upgrade | None) -> tuple[str, bytes | None]:
        address = environ.get("REMOTE_ADDR", "")
        if self._unjoined[address] >= self.limits.max_unjoined_per_address:
            self.complaints.add("too many sessions that join nothing", address)
            raise Refused("429 Too Many Requests", 3, "Too many open handshakes from this address")
        if self._stopping:
            raise Refused("503 Service Unavailable", 3, "The server is stopping")
        accepted = None if upgrade is None else self._accept(upgrade)  # yields; nothing is set up before it
        session = EngineSocket(self, self.generate_id(), address=address, credential=self._fingerprint(environ))
        self._unjoined[address] += 1
        session.address_counted = address
        self.sockets[session.sid] = session
        self.handlers["connect"](session.sid, _slim(environ))
        if upgrade is None or accepted is None:
            session.settle()
            return "200 OK", self._hello(session.sid, [name for name in self.transports if name != "polling"])
        sock, early = accepted
        websocket = session.new_websocket(sock, upgrade.on_freed)
        session.ride(websocket)
        session.offer(Frame(self._hello(session.sid, [])))
        websocket.start(early)
        return "101", None

    def _hello(self, sid: str, upgrades: list[str]) -> bytes:
        limits = self.limits
        return b"0" + orjson.dumps(
            {
                "sid": sid,
                "upgrades": upgrades,
                "pingInterval": round(limits.ping_interval_s * 1000),
                "pingTimeout": round(limits.ping_timeout_s * 1000),
                "maxPayload": limits.max_message_bytes,
            }
        )

    def _upgrade(self, session: EngineSocket, upgrade: Upgrade) -> tuple[str, bytes | None]:
        if not session.may_upgrade():
            raise bad_request("This session is upgraded already")
        sock, leftover = self._accept(upgrade)
        if not session.may_upgrade():  # the answer to the handshake may have yielded
            sock.close()
            upgrade.on_freed()
            return "101", None
        session.probe(sock, upgrade.on_freed).start(leftover)
        return "101", None

    @staticmethod
    def _accept(upgrade: Upgrade) -> tuple[Any, bytes]:
        try:
            return upgrade.accept()
        except BadUpgrade as error:
            raise bad_request(str(error)) from None

    def _poll(self, session: EngineSocket) -> tuple[str, bytes]:
        if session.polled:
            session.violate(Violation("two polls at once"))
            raise bad_request("Two polls at once")
        frames = session.poll()
        if not frames:
            raise unknown_session()
        return "200 OK", b"\x1e".join(frame.polling for frame in frames)

    def _post(self, session: EngineSocket, environ: Environ) -> tuple[str, bytes]:
        if session.posting:
            session.violate(Violation("two posts at once"))
            raise bad_request("Two posts at once")
        session.posting = True
        try:
            taken = session.receive_payload(self._body(session, environ))
        except Violation as violation:
            session.violate(violation)
            raise bad_request(violation.kind) from None
        finally:
            session.posting = False
        if not taken:
            raise bad_request("The session ended before all of it was taken")
        return "200 OK", b"ok"

    def _body(self, session: EngineSocket, environ: Environ) -> bytes:
        limit = session.max_message_bytes
        body: bytes = b""
        if int(environ.get("CONTENT_LENGTH", "0")) <= limit:
            body = environ["wsgi.input"].read(limit + 1)
            if len(body) <= limit:
                return body
        session.violate(Violation("payload too big"))
        raise Refused("413 Content Too Large", 3, "Payload too big")


def _slim(environ: Environ) -> Environ:
    """What is worth keeping of a handshake while the session lives: no buffers, no sockets."""
    kept = {key: value for key, value in environ.items() if key != UPGRADE_KEY}
    kept["wsgi.input"] = io.BytesIO()
    return kept
