"""A WebSocket to a vendor: opened within a limit, read message by message, hung up on at once."""

from __future__ import annotations

import base64
import hashlib
import logging
import os
from collections.abc import Mapping
from contextlib import suppress
from types import TracebackType
from urllib.parse import urlsplit

import gevent
from gevent.lock import BoundedSemaphore

from services.errors import VendorOverloaded, VendorTimeout
from services.wire.connection import Connection
from services.wire.dial import DialSettings, Origin, check_proxies, dial, origin_of
from services.wire.websocket_frames import FrameReader, binary_frame, pong_frame, text_frame

log = logging.getLogger(__name__)

MAX_RECEIVED_BYTES = 64 * 1_048_576
MAX_HEAD_BYTES = 65_536
MAX_REFUSAL_BYTES = 65_536
REFUSAL_S = 1.0  # for the body of a refused handshake: it says why, but is not worth a long wait

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_SCHEMES = {"ws": "http", "wss": "https"}
_BROKE_OFF = "The connection to the model's provider broke off."
_UNREADABLE = "The model's provider sent an answer that cannot be read."


class HandshakeRefusedError(Exception):
    """The server answered the upgrade with something other than 101.

    Attributes:
        headers: With small letters.
    """

    def __init__(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        super().__init__(f"handshake refused with {status}")
        self.status, self.headers, self.body = status, headers, body


class WebSocket:
    """An open one. Use it with `with`: leaving it, however, hangs up. One greenlet reads, any may write.

    Attributes:
        headers: Of the handshake's answer, with small letters.
    """

    def __init__(self, connection: Connection, headers: Mapping[str, str], ahead: bytes) -> None:
        self.headers = headers
        self._connection = connection
        self._frames = FrameReader()
        self._ahead = ahead
        self._taken = 0
        self._writing = BoundedSemaphore(1)  # a frame is written whole, whoever answers a ping meanwhile

    def send(self, message: bytes) -> None:
        """Send one text message, UTF-8."""
        self._send(text_frame(message))

    def send_binary(self, message: bytes) -> None:
        """Send one binary message."""
        self._send(binary_frame(message))

    def receive(self) -> list[bytes]:
        """The messages that have come, at least one; none at the end. Pings are answered on the way.

        Raises:
            VendorOverloaded: The connection broke, or what came are no frames, or too many.
            VendorTimeout: The last resort: nothing came for minutes.
        """
        frames = self._frames
        while not frames.is_over:
            data = self._next()
            if not data:
                return []
            messages = frames.feed(data)
            if frames.ping is not None:
                payload, frames.ping = frames.ping, None
                self._send(pong_frame(payload))
            if messages:
                return messages
        if frames.fault:
            log.warning("a vendor's WebSocket sent %s", frames.fault)
            raise VendorOverloaded(_UNREADABLE)
        log.info("a vendor closed its WebSocket with %d", frames.close_code or 0)
        return []

    def close(self) -> None:
        """Hang up at once, without a closing handshake: a silent peer would make us wait. Never yields."""
        self._connection.close()

    def __enter__(self) -> WebSocket:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _send(self, frame: bytes) -> None:
        # A vendor may say no and hang up before it has read all: what it said is still to be read.
        with self._writing, suppress(OSError):
            self._connection.send(frame)

    def _next(self) -> bytes:
        if self._ahead:
            data, self._ahead = self._ahead, b""
        else:
            try:
                data = self._connection.receive()
            except OSError as error:
                raise VendorOverloaded(_BROKE_OFF) from error
        self._taken += len(data)
        if self._taken > MAX_RECEIVED_BYTES:
            raise VendorOverloaded("The model's provider sent more than this server accepts.")
        return data


class WebSocketClient:
    """Opens WebSockets to vendors. Any number of greenlets may call at once."""

    def __init__(self, settings: DialSettings) -> None:
        check_proxies(settings)
        self._settings = settings

    def open(self, url: str, headers: Mapping[str, str] | None = None) -> WebSocket:
        """Connect to a `ws://` or `wss://` address and upgrade, with `headers` beside the handshake's own.

        A `wss://` address is reached through `HTTPS_PROXY`, a `ws://` one always directly. Compression is not
        offered: one message would have to wait for another.

        Raises:
            HandshakeRefusedError: The server said no.
            VendorError: It could not be reached, or did not answer in time.
        """
        parts = urlsplit(url)
        origin = origin_of(parts._replace(scheme=_SCHEMES[parts.scheme]), self._settings)
        if origin.scheme == "http":
            origin = Origin(origin.scheme, origin.host, origin.port)
        target = f"{parts.path or '/'}?{parts.query}" if parts.query else parts.path or "/"
        connection = Connection(origin, dial(origin, self._settings.connect_s))
        try:
            with gevent.Timeout(self._settings.connect_s) as limit:
                try:
                    return _upgrade(connection, target, headers or {})
                except gevent.Timeout as fired:
                    if fired is not limit:
                        raise
                    raise VendorTimeout("The model's provider could not be reached in time.") from fired
        except BaseException:
            connection.close()
            raise


def _upgrade(connection: Connection, target: str, headers: Mapping[str, str]) -> WebSocket:
    key = base64.b64encode(os.urandom(16))
    lines = [
        f"GET {target} HTTP/1.1",
        f"Host: {connection.origin.authority}",
        "Upgrade: websocket",
        "Connection: Upgrade",
        f"Sec-WebSocket-Key: {key.decode()}",
        "Sec-WebSocket-Version: 13",
        "User-Agent: Parley",
        *(f"{name}: {value}" for name, value in headers.items()),
    ]
    try:
        connection.send("\r\n".join([*lines, "", ""]).encode("ascii"))
        status, told, ahead = _read_head(connection)
    except OSError as error:
        raise VendorOverloaded(_BROKE_OFF) from error
    if status != 101:
        raise HandshakeRefusedError(status, told, _read_refusal(connection, told, ahead))
    accept = base64.b64encode(hashlib.sha1(key + _GUID, usedforsecurity=False).digest()).decode()
    if told.get("sec-websocket-accept") != accept or told.get("upgrade", "").lower() != "websocket":
        raise VendorOverloaded(_UNREADABLE)
    return WebSocket(connection, told, ahead)


def _read_head(connection: Connection) -> tuple[int, dict[str, str], bytes]:
    """Status, headers and the bytes that came after them."""
    data = b""
    while (end := data.find(b"\r\n\r\n")) < 0:
        piece = connection.receive()
        if not piece:
            raise VendorOverloaded(_BROKE_OFF)
        data += piece
        if len(data) > MAX_HEAD_BYTES:
            raise VendorOverloaded(_UNREADABLE)
    first, *lines = data[:end].decode("latin-1").split("\r\n")
    version, _, rest = first.partition(" ")
    if version not in ("HTTP/1.1", "HTTP/1.0") or not rest[:3].isdecimal():
        raise VendorOverloaded(_UNREADABLE)
    headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    return int(rest[:3]), headers, data[end + 4 :]


def _read_refusal(connection: Connection, headers: Mapping[str, str], ahead: bytes) -> bytes:
    """The body of a refusal, or what came of it in time."""
    length = headers.get("content-length", "")
    wanted = min(int(length), MAX_REFUSAL_BYTES) if length.isdecimal() else MAX_REFUSAL_BYTES
    with gevent.Timeout(REFUSAL_S, False), suppress(OSError, VendorTimeout):
        while len(ahead) < wanted and (data := connection.receive()):
            ahead += data
    return ahead[:MAX_REFUSAL_BYTES]
