"""The server's end of a WebSocket on loopback, with every frame and every breach of the rules in its hand."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator

from simulators.loopback import Exchange, HungUp

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA


class ServerSocket:
    """Upgrades an exchange and speaks frames over it.

    Attributes:
        pongs: Payloads of the pongs that came.
    """

    def __init__(self, exchange: Exchange, *, split: int = 0) -> None:
        """`split` sends everything in segments of so many bytes."""
        self.pongs: list[bytes] = []
        self._exchange = exchange
        self._split = split
        self._buffer = b""

    def accept(self, headers: dict[str, str]) -> None:
        key = self._exchange.call.request.headers.get("sec-websocket-key", "").encode()
        accept = base64.b64encode(hashlib.sha1(key + _GUID, usedforsecurity=False).digest()).decode()
        upgrade = {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Accept": accept}
        self._exchange.head("101 Switching Protocols", {**upgrade, **headers})
        self._exchange.keeps = False

    def receive(self) -> bytes:
        """The client's next text message. Its frames must be masked and whole.

        Raises:
            HungUp: The client has closed, or broken the rules.
        """
        kind, payload = self.receive_any()
        if kind != TEXT:
            raise HungUp
        return payload

    def receive_any(self) -> tuple[int, bytes]:
        """The client's next message, `TEXT` or `BINARY`. Raises as `receive` does."""
        while True:
            kind, payload = self._frame()
            if kind in (TEXT, BINARY):
                return kind, payload
            if kind == PONG:
                self.pongs.append(payload)
            elif kind != PING:
                raise HungUp

    def send(self, payload: bytes, *, kind: int = TEXT, fragment: int = 0) -> None:
        """One message, in fragments of so many bytes where that is asked for."""
        parts = list(_cut(payload, fragment))
        for number, part in enumerate(parts):
            last = 0x80 if number == len(parts) - 1 else 0
            self._raw(frame(last | (CONTINUATION if number else kind), part))

    def ping(self, payload: bytes = b"") -> None:
        self._raw(frame(0x80 | PING, payload))

    def close(self, code: int = 1000, reason: bytes = b"") -> None:
        """Send a close frame; the connection ends when the exchange does."""
        self._raw(frame(0x80 | CLOSE, code.to_bytes(2, "big") + reason))
        self._exchange.keeps = False

    def take_pong(self) -> None:
        """Wait for the next frame, which must be a pong."""
        kind, payload = self._frame()
        if kind != PONG:
            raise HungUp
        self.pongs.append(payload)

    def _raw(self, data: bytes) -> None:
        for part in _cut(data, self._split):
            self._exchange.raw(part)

    def _frame(self) -> tuple[int, bytes]:
        first, second = self._take(2)
        length = second & 0x7F
        if length > 125:
            length = int.from_bytes(self._take(2 if length == 126 else 8), "big")
        if not second & 0x80 or not first & 0x80 or first & 0x70:
            self.close(1002)
            raise HungUp
        mask = self._take(4)
        payload = self._take(length)
        whole = (mask * (length // 4 + 1))[:length]
        plain = int.from_bytes(payload, "big") ^ int.from_bytes(whole, "big")
        return first & 0x0F, plain.to_bytes(length, "big")

    def _take(self, size: int) -> bytes:
        while len(self._buffer) < size:
            self._buffer += self._exchange.receive()
        data, self._buffer = self._buffer[:size], self._buffer[size:]
        return data


def frame(first: int, payload: bytes) -> bytes:
    """One frame of the server, never masked."""
    size = len(payload)
    if size < 126:
        return bytes((first, size)) + payload
    if size < 65_536:
        return bytes((first, 126)) + size.to_bytes(2, "big") + payload
    return bytes((first, 127)) + size.to_bytes(8, "big") + payload


def _cut(data: bytes, size: int) -> Iterator[bytes]:
    if not size or not data:
        yield data
        return
    for at in range(0, len(data), size):
        yield data[at : at + size]
