"""Socket.IO packets: strict about what comes in (Socket.IO protocol, version 5)."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import socketio.packet

from . import strict_json
from .violation import Violation

CONNECT, DISCONNECT, EVENT, ACK, CONNECT_ERROR, BINARY_EVENT, BINARY_ACK = range(7)

# type, attachments, namespace, id; the JSON follows
_HEADER = re.compile(r"([0-6])(?:(\d{1,10})-)?(?:(/[^,?]{0,255})(?:\?[^,]{0,1024})?(?:,|\Z))?(-?\d{1,100})?", re.ASCII)
_MAX_ID = 2**53


class OutgoingPacket(socketio.packet.Packet):
    """python-socketio's packet with our JSON; incoming ones are never made from it."""

    json = strict_json

    @classmethod
    def data_is_binary(cls, data: Any) -> bool:
        if isinstance(data, dict):
            return any(cls.data_is_binary(item) for item in data.values())
        if isinstance(data, list | tuple):
            return any(cls.data_is_binary(item) for item in data)
        return isinstance(data, bytes | bytearray)


class IncomingPacket:
    """One packet of a client, its shape checked.

    Attributes:
        kind: Never BINARY_*: those become EVENT or ACK once their attachments are in.
        missing: How many attachments must still come.
        id: Of the acknowledgement asked for or given; None for none, and for one no client of ours could mean.
    """

    __slots__ = ("_attachments", "_room", "data", "id", "kind", "missing", "namespace")

    def __init__(self, kind: int, namespace: str, id: int | None, data: Any, *, missing: int, max_bytes: int) -> None:
        self.kind = kind
        self.namespace = namespace
        self.id = id
        self.data = data
        self.missing = missing
        self._room = max_bytes
        self._attachments: list[bytes] = []

    def attach(self, attachment: bytes) -> None:
        """Take the next attachment; with the last one `data` is whole.

        Raises:
            Violation: Too many bytes in all, or a placeholder for an attachment that is not there.
        """
        self._room -= len(attachment)
        if self._room < 0:
            raise Violation("attachments too big", code=1009)
        self._attachments.append(attachment)
        self.missing -= 1
        if not self.missing:
            self.data = self._filled(self.data)
            self._attachments = []

    def _filled(self, value: Any) -> Any:
        if isinstance(value, list):
            return [self._filled(item) for item in value]
        if not isinstance(value, dict):
            return value
        if value.get("_placeholder") is not True:
            return {key: self._filled(item) for key, item in value.items()}
        number = value.get("num")
        if type(number) is not int or not 0 <= number < len(self._attachments):
            raise Violation("bad placeholder")
        return self._attachments[number]


def decode(text: str, *, max_attachments: int, room: Callable[[str], int]) -> IncomingPacket:
    """Read one text packet. Pure.

    Args:
        room: Bytes that the attachments of a packet to a namespace may have together.

    Raises:
        Violation: It is not a packet a Socket.IO client sends.
    """
    header = _HEADER.match(text)
    if header is None:
        raise Violation("unknown Socket.IO packet")
    kind = int(header[1])
    attachments = int(header[2] or 0)
    if attachments > max_attachments or (header[2] is None) == (kind in (BINARY_EVENT, BINARY_ACK)):
        raise Violation("bad attachment count")
    body = text[header.end() :]
    try:
        data = strict_json.loads(body) if body else None
    except ValueError:
        raise Violation("bad JSON") from None
    ack = int(header[4]) if header[4] else None
    if kind in (EVENT, BINARY_EVENT):
        if type(data) is not list or not data or type(data[0]) is not str or not 0 <= (ack or 0) < _MAX_ID:
            raise Violation("malformed event")
        kind = EVENT
    elif kind in (ACK, BINARY_ACK):
        if type(data) is not list or ack is None:
            raise Violation("malformed acknowledgement")
        kind = ACK
    elif kind == CONNECT_ERROR or ack is not None or (data is not None and (kind != CONNECT or type(data) is not dict)):
        raise Violation("malformed packet")
    namespace = header[3] or "/"
    return IncomingPacket(kind, namespace, ack, data, missing=attachments, max_bytes=room(namespace))
