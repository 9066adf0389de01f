"""WebSocket frames as a client meets them: its own masked, the server's read as bytes arrive. Pure."""

from __future__ import annotations

import os

MAX_MESSAGE_BYTES = 1_048_576
MAX_CONTROL_BYTES = 125

_TEXT, _BINARY, _CLOSE, _PING, _PONG = 0x81, 0x82, 0x88, 0x89, 0x8A


class Binary(bytes):
    """A message that came as binary."""


def text_frame(payload: bytes) -> bytes:
    """A whole text message to the server."""
    return _masked(_TEXT, payload)


def binary_frame(payload: bytes) -> bytes:
    """A whole binary message to the server."""
    return _masked(_BINARY, payload)


def pong_frame(payload: bytes) -> bytes:
    """The answer to a ping with that payload."""
    return _masked(_PONG, payload)


class FrameReader:
    """Takes what the socket gave, gives whole messages. Fragments are joined, text is not decoded.

    Binary messages are given like text, as `Binary`: what they hold is for the reader to judge.
    Source: RFC 6455, read 2026-11.

    Attributes:
        ping: Payload of the latest ping that has not been answered, None for none. Only the latest needs an answer.
        is_over: A close frame has come, or the frames were wrong (`fault` then says how). Nothing follows.
        close_code: What the close frame says, 1005 when it says nothing.
    """

    __slots__ = (
        "_is_binary", "_is_split", "_need", "_parts", "_rest", "_size", "close_code", "fault", "is_over", "ping"
    )  # fmt: skip

    def __init__(self) -> None:
        self.ping: bytes | None = None
        self.is_over = False
        self.close_code: int | None = None
        self.fault = ""
        self._rest = bytearray()  # a frame that is not complete
        self._need = 0  # bytes without which it cannot go on
        self._parts: list[bytes] = []  # of a message in fragments
        self._is_split = self._is_binary = False
        self._size = 0

    def feed(self, chunk: bytes) -> list[bytes]:
        """Take the next bytes; give the messages they completed. Those before a fault are given first."""
        if self._rest:
            self._rest += chunk
            if len(self._rest) < self._need:
                return []
            chunk = bytes(self._rest)
            self._rest.clear()
        messages: list[bytes] = []
        at, size = 0, len(chunk)
        while not self.is_over:
            self._need = 2
            if size - at < 2:
                break
            first, length = chunk[at], chunk[at + 1]
            start = at + 2
            if length > 125:
                start = at + (4 if length == 126 else 10)
                if length > 127:
                    self._fail("a masked frame")
                    break
                if size < start:
                    self._need = start - at
                    break
                length = int.from_bytes(chunk[at + 2 : start], "big")
            end = start + length
            if length > MAX_MESSAGE_BYTES:
                self._fail("a frame that is too long")
                break
            if size < end:
                self._need = end - at
                break
            at = end
            # Nearly every frame is one whole text message.
            if first == _TEXT and not self._is_split:
                messages.append(chunk[start:end])
            else:
                self._other(first, chunk[start:end], messages)
        if not self.is_over:
            self._rest += chunk[at:]
        return messages

    def _other(self, first: int, payload: bytes, messages: list[bytes]) -> None:
        """A frame that is not a whole text message."""
        kind = first & 0x8F
        if first & 0x70 or kind & 0x0F not in (0, 1, 2, 8, 9, 10):
            self._fail("a frame of an unknown kind")
        elif first & 0x08:
            self._control(kind, payload)
        elif bool(first & 0x0F) == self._is_split:
            self._fail("fragments out of order")
        elif first == _BINARY:
            messages.append(Binary(payload))
        else:
            if first & 0x0F:
                self._is_binary = first & 0x0F == 2
            self._fragment(payload, messages, is_last=bool(first & 0x80))

    def _fragment(self, payload: bytes, messages: list[bytes], *, is_last: bool) -> None:
        self._is_split = not is_last
        self._size += len(payload)
        if self._size > MAX_MESSAGE_BYTES:
            self._fail("a message that is too long")
            return
        if payload:
            self._parts.append(payload)
        if is_last:
            whole = b"".join(self._parts)
            messages.append(Binary(whole) if self._is_binary else whole)
            self._parts.clear()
            self._size = 0

    def _control(self, kind: int, payload: bytes) -> None:
        if len(payload) > MAX_CONTROL_BYTES or kind < 0x80:
            self._fail("a control frame that is too long")
        elif kind == _PING:
            self.ping = payload
        elif kind == _CLOSE:
            self.is_over = True
            self.close_code = int.from_bytes(payload[:2], "big") if len(payload) > 1 else 1005

    def _fail(self, fault: str) -> None:
        self.is_over = True
        self.fault = fault


def _masked(first: int, payload: bytes) -> bytes:
    size = len(payload)
    if size < 126:
        head = bytes((first, 0x80 | size))
    elif size < 65_536:
        head = bytes((first, 0x80 | 126)) + size.to_bytes(2, "big")
    else:
        head = bytes((first, 0x80 | 127)) + size.to_bytes(8, "big")
    mask = os.urandom(4)
    # One XOR of two big numbers: a loop over a long prompt would hold the others up.
    whole = (mask * (size // 4 + 1))[:size]
    return head + mask + (int.from_bytes(payload, "big") ^ int.from_bytes(whole, "big")).to_bytes(size, "big")
