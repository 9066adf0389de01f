"""The handshake that turns an HTTP request into a WebSocket (RFC 6455 section 4)."""

from __future__ import annotations

import binascii
import socket
from base64 import b64decode, b64encode
from collections.abc import Callable, Mapping
from hashlib import sha1
from typing import Any, Protocol

UPGRADE_KEY = "parley.upgrade"
_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


class BadUpgrade(ValueError):
    """The handshake cannot be answered with 101."""


class UnknownVersion(BadUpgrade):
    """The client speaks another version; it is told ours (426)."""


def asks_for_websocket(environ: Mapping[str, Any]) -> bool:
    return str(environ.get("HTTP_UPGRADE", "")).strip().lower() == "websocket"


def answer(environ: Mapping[str, Any]) -> bytes:
    """The whole response that accepts a handshake.

    Raises:
        BadUpgrade: The request breaks a rule of RFC 6455 section 4.2.1.
    """
    connection = {token.strip().lower() for token in environ.get("HTTP_CONNECTION", "").split(",")}
    if environ["REQUEST_METHOD"] != "GET" or environ["SERVER_PROTOCOL"] != "HTTP/1.1" or "upgrade" not in connection:
        raise BadUpgrade("A WebSocket handshake is a GET of HTTP/1.1 with Connection: Upgrade.")
    if environ.get("HTTP_SEC_WEBSOCKET_VERSION", "").strip() != "13":
        raise UnknownVersion("Sec-WebSocket-Version must be 13.")
    key = environ.get("HTTP_SEC_WEBSOCKET_KEY", "").strip()
    try:
        known = len(b64decode(key, validate=True)) == 16
    except (binascii.Error, ValueError):
        known = False
    if not known:
        raise BadUpgrade("Sec-WebSocket-Key must be 16 bytes in base64.")
    accepted = b64encode(sha1(key.encode() + _GUID, usedforsecurity=False).digest())
    return (
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: "
        + accepted
        + b"\r\n\r\n"
    )


class Upgrade:
    """A checked handshake, waiting for the application to accept it.

    Attributes:
        on_freed: To be called once when the socket `accept` gave is closed.
    """

    def __init__(self, accept: Callable[[], tuple[socket.socket, bytes]], on_freed: Callable[[], None]) -> None:
        #: Answers 101 and gives the socket with the bytes that came too early. Yields. BadUpgrade: the client left.
        self.accept = accept
        self.on_freed = on_freed


class WebSocketEndpoint(Protocol):
    """WebSockets beside Socket.IO's: a handshake under `path` reaches the application with an `Upgrade` in its environ.

    Attributes:
        path: What its addresses begin with, such as `/other/`.
    """

    path: str

    def goodbye(self) -> None:
        """Close every connection: the worker stops. Never yields."""
