"""Outgoing Engine.IO packets, each encoded once for everybody who gets it."""

from __future__ import annotations

from base64 import b64encode
from struct import Struct
from typing import Any

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA

_medium_header = Struct("!BBH").pack
_long_header = Struct("!BBQ").pack


def websocket_frame(opcode: int, payload: bytes) -> bytes:
    """One whole, unfragmented server frame (RFC 6455 section 5.2)."""
    length = len(payload)
    if length < 126:
        return bytes((0x80 | opcode, length)) + payload
    if length < 65_536:
        return _medium_header(0x80 | opcode, 126, length) + payload
    return _long_header(0x80 | opcode, 127, length) + payload


class Frame:
    """One packet in the forms both transports need; built lazily, shared by all viewers.

    Attributes:
        packet: A text packet with its leading type digit (`42/text,["turn_delta",{...}]` is `Frame(b'42/text,...')`),
            or the bare bytes of an attachment when `binary`.
    """

    __slots__ = ("_websocket", "binary", "packet")
    packets = 1
    """How many Engine.IO packets it is."""

    def __init__(self, packet: bytes, *, binary: bool = False) -> None:
        self.packet = packet
        self.binary = binary
        self._websocket: bytes | None = None

    @classmethod
    def of(cls, pkt: Any) -> Frame:
        """python-engineio's packet as a frame, kept on the packet: a broadcast is encoded once."""
        frame: Frame | None = getattr(pkt, "parley_frame", None)
        if frame is None:
            data = pkt.data
            if isinstance(data, bytes | bytearray):
                frame = cls(bytes(data), binary=True)
            else:
                text = data if isinstance(data, str) else "" if data is None else pkt.json.dumps(data)
                frame = cls(b"%d%b" % (pkt.packet_type, text.encode()))
            pkt.parley_frame = frame
        return frame

    @property
    def websocket(self) -> bytes:
        """The bytes a WebSocket peer is sent."""
        framed = self._websocket
        if framed is None:
            framed = self._websocket = websocket_frame(BINARY if self.binary else TEXT, self.packet)
        return framed

    @property
    def polling(self) -> bytes:
        """The packet as it stands in a polling payload."""
        return b"b" + b64encode(self.packet) if self.binary else self.packet


class BinaryEvent(Frame):
    """A packet with its attachment behind it: both are sent, or neither."""

    __slots__ = ("_data", "_text")
    packets = 2

    def __init__(self, text: bytes, data: bytes) -> None:
        super().__init__(text + b"\x1eb" + b64encode(data))
        self._text = text
        self._data = data

    @property
    def websocket(self) -> bytes:
        if self._websocket is None:
            self._websocket = websocket_frame(TEXT, self._text) + websocket_frame(BINARY, self._data)
        return self._websocket
