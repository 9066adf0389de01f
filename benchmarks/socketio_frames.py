"""Socket.IO over WebSocket, framed by hand: as much of both as a viewer that must cost little needs."""

from __future__ import annotations

import base64
import os
from collections.abc import Iterator

_MASK = bytes(4)  # a mask of zeros is valid and leaves the payload as it is


class PeerBroke(Exception):
    """The server said something that the protocol does not allow."""


def upgrade_request(host: str, port: int) -> bytes:
    """Engine.IO's handshake straight over WebSocket."""
    key = base64.b64encode(os.urandom(16)).decode()
    return (
        f"GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: {host}:{port}\r\nUpgrade: websocket\r\n"
        f"Connection: Upgrade\r\nSec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n"
    ).encode()


def text_frame(text: str) -> bytes:
    """One masked text frame, as a client must send it."""
    payload = text.encode()
    if len(payload) < 126:
        head = bytes((0x81, 0x80 | len(payload)))
    elif len(payload) < 65536:
        head = bytes((0x81, 0x80 | 126)) + len(payload).to_bytes(2, "big")
    else:
        head = bytes((0x81, 0x80 | 127)) + len(payload).to_bytes(8, "big")
    return head + _MASK + payload


class FrameReader:
    """Cuts a server's bytes into the payloads of its text frames."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Yield every whole payload; what is left waits for the next call.

        Raises:
            PeerBroke: A frame that is masked, fragmented or not text.
        """
        if self._rest:
            data = self._rest + data
        at, end = 0, len(data)
        while end - at >= 2:
            if data[at] != 0x81:
                raise PeerBroke(f"WebSocket frame {data[at]:#x} {data[at + 2 : at + 130]!r}")
            size, start = data[at + 1], at + 2
            if size == 126:
                if end - at < 4:
                    break
                size, start = int.from_bytes(data[at + 2 : at + 4], "big"), at + 4
            elif size == 127:
                if end - at < 10:
                    break
                size, start = int.from_bytes(data[at + 2 : at + 10], "big"), at + 10
            elif size > 127:
                raise PeerBroke("a masked frame from a server")
            if end - start < size:
                break
            at = start + size
            yield data[start:at]
        self._rest = data[at:]
