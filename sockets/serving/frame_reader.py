"""Client frames out of a byte stream, nothing buffered beyond the limit (RFC 6455 section 5)."""

from __future__ import annotations

import codecs
from typing import NamedTuple

from .frame import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT

PROTOCOL_ERROR, BAD_TEXT, POLICY, TOO_BIG = 1002, 1007, 1008, 1009

_TRANSLATIONS = [bytes(byte ^ key for byte in range(256)) for key in range(256)]
_new_text_decoder = codecs.getincrementaldecoder("utf-8")


class WebSocketError(Exception):
    """A peer broke the protocol or a limit; `code` is the close code it is sent."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


class Control(NamedTuple):
    """A ping, pong or close frame."""

    opcode: int
    payload: bytes


def unmask(payload: bytes, key: bytes) -> bytes:
    """Undo (or do) the client's masking."""
    length = len(payload)
    if length < 4_096:  # measured: one big-integer XOR wins below, four byte translations above
        mask = (key * (length // 4 + 1))[:length]
        return (int.from_bytes(payload, "little") ^ int.from_bytes(mask, "little")).to_bytes(length, "little")
    plain = bytearray(payload)
    for lane in range(4):
        plain[lane::4] = payload[lane::4].translate(_TRANSLATIONS[key[lane]])
    return bytes(plain)


def close_status(payload: bytes) -> tuple[int, str]:
    """Code and reason of a close frame; 1005 when it has none.

    Raises:
        WebSocketError: The code may not be sent, or the reason is not UTF-8.
    """
    if not payload:
        return 1005, ""
    code = int.from_bytes(payload[:2], "big")
    known = 1000 <= code <= 1003 or 1007 <= code <= 1014 or 3000 <= code <= 4999
    if len(payload) == 1 or not known:
        raise WebSocketError(PROTOCOL_ERROR, "bad close code")
    try:
        return code, payload[2:].decode()
    except UnicodeDecodeError:
        raise WebSocketError(BAD_TEXT, "close reason is not UTF-8") from None


class FrameReader:
    """Turns received bytes into messages: `str`, `bytes` or `Control`, in order. Pure: no socket, no clock.

    Attributes:
        max_message_bytes: May change at any time; it holds from the next frame header on.
    """

    __slots__ = (
        "_buffer",
        "_decoder",
        "_fragments",
        "_kind",
        "_needed",
        "_pieces",
        "_size",
        "max_fragments",
        "max_message_bytes",
    )

    def __init__(self, *, max_message_bytes: int, max_fragments: int) -> None:
        self.max_message_bytes = max_message_bytes
        self.max_fragments = max_fragments
        self._buffer: bytes | bytearray = b""
        self._needed = 2
        self._kind = CONTINUATION  # of the fragmented message under way; CONTINUATION for none
        self._pieces: list[str | bytes] = []
        self._size = 0
        self._fragments = 0
        self._decoder: codecs.IncrementalDecoder | None = None

    def feed(self, data: bytes) -> list[str | bytes | Control]:
        """Take received bytes, give the messages they complete. Never yields.

        Raises:
            WebSocketError: The stream is no longer to be trusted; the connection must be closed.
        """
        if self._buffer:
            if isinstance(self._buffer, bytes):
                self._buffer = bytearray(self._buffer)
            self._buffer += data
            if len(self._buffer) < self._needed:  # a large frame is looked at once, not per piece received
                return []
            data = bytes(self._buffer)
        messages: list[str | bytes | Control] = []
        position = 0
        while (used := self._read_frame(data, position, messages)) > 0:
            position += used
        self._needed = -used
        self._buffer = data[position:] if position < len(data) else b""
        return messages

    def _read_frame(self, data: bytes, position: int, messages: list[str | bytes | Control]) -> int:
        """Bytes used by the frame at `position`, or minus the bytes it needs when it is not all there."""
        there = len(data) - position
        if there < 2:
            return -2
        first = data[position]
        length = data[position + 1]
        if length < 128:
            raise WebSocketError(PROTOCOL_ERROR, "unmasked frame")
        length -= 128
        header = 6
        if length == 126:
            header = 8
            if there < 4:
                return -4
            length = int.from_bytes(data[position + 2 : position + 4], "big")
        elif length == 127:
            header = 14
            if there < 10:
                return -10
            length = int.from_bytes(data[position + 2 : position + 10], "big")
        self._check(first, length)
        if there < header + length:
            return -(header + length)
        start = position + header
        payload = unmask(data[start : start + length], data[start - 4 : start])
        opcode = first & 15
        if opcode >= CLOSE:
            messages.append(Control(opcode, payload))
        elif first >= 128 and opcode:
            messages.append(self._text(payload) if opcode == TEXT else payload)
        else:
            self._join_fragment(first, opcode, payload, messages)
        return header + length

    def _check(self, first: int, length: int) -> None:
        opcode = first & 15
        if first & 0x70:
            raise WebSocketError(PROTOCOL_ERROR, "reserved bits set")
        if opcode in (PING, PONG, CLOSE):
            if length > 125 or first < 128:
                raise WebSocketError(PROTOCOL_ERROR, "control frame too long or fragmented")
            return
        if opcode > BINARY:
            raise WebSocketError(PROTOCOL_ERROR, "unknown opcode")
        if (opcode == CONTINUATION) != (self._kind != CONTINUATION):
            raise WebSocketError(PROTOCOL_ERROR, "fragments out of order")
        if self._size + length > self.max_message_bytes:
            raise WebSocketError(TOO_BIG, "message too big")
        if self._fragments >= self.max_fragments:
            raise WebSocketError(POLICY, "too many fragments")

    def _join_fragment(self, first: int, opcode: int, payload: bytes, messages: list[str | bytes | Control]) -> None:
        final = first >= 128
        if opcode:
            self._kind = opcode
            self._decoder = _new_text_decoder() if opcode == TEXT else None
        self._fragments += 1
        self._size += len(payload)
        if self._decoder is None:
            self._pieces.append(payload)
        else:
            try:  # as it comes, so that bad text is refused at its first byte
                self._pieces.append(self._decoder.decode(payload, final))
            except UnicodeDecodeError:
                raise WebSocketError(BAD_TEXT, "text is not UTF-8") from None
        if final:
            messages.append("".join(self._pieces) if self._kind == TEXT else b"".join(self._pieces))  # type: ignore[arg-type]
            self._kind = CONTINUATION
            self._pieces = []
            self._size = self._fragments = 0
            self._decoder = None

    @staticmethod
    def _text(payload: bytes) -> str:
        try:
            return payload.decode()
        except UnicodeDecodeError:
            raise WebSocketError(BAD_TEXT, "text is not UTF-8") from None
