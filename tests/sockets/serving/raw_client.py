"""A client that builds every byte by hand, so that it can be wrong on purpose."""

from __future__ import annotations

import base64
import json
import os
import socket
import struct
from typing import Any, NamedTuple

from sockets.serving.frame_reader import unmask

TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10


class Frame(NamedTuple):
    opcode: int
    payload: bytes

    @property
    def close_code(self) -> int:
        assert self.opcode == CLOSE, self
        return int.from_bytes(self.payload[:2], "big")


class Closed(Exception):
    """The server ended the TCP stream."""


def masked(
    opcode: int, payload: bytes, *, final: bool = True, reserved: int = 0, announced: int | None = None
) -> bytes:
    """A client frame; `announced` lies about the length."""
    length = len(payload) if announced is None else announced
    first = (0x80 if final else 0) | reserved << 4 | opcode
    if length < 126:
        header = struct.pack("!BB", first, 0x80 | length)
    elif length < 65_536:
        header = struct.pack("!BBH", first, 0x80 | 126, length)
    else:
        header = struct.pack("!BBQ", first, 0x80 | 127, length)
    key = os.urandom(4)
    return header + key + unmask(payload, key)


class Wire:
    """One TCP connection."""

    def __init__(self, address: tuple[str, int], *, receive_buffer: int | None = None) -> None:
        self.sock = socket.socket()
        if receive_buffer is not None:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.sock.settimeout(10)
        self.sock.connect(address)
        self._buffer = b""

    def send(self, data: bytes) -> None:
        self.sock.sendall(data)

    def take(self, count: int) -> bytes:
        while len(self._buffer) < count:
            self._fill()
        taken, self._buffer = self._buffer[:count], self._buffer[count:]
        return taken

    def take_until(self, mark: bytes) -> bytes:
        while mark not in self._buffer:
            self._fill()
        taken, _, self._buffer = self._buffer.partition(mark)
        return taken

    def _fill(self) -> None:
        try:
            data = self.sock.recv(65_536)
        except ConnectionError:
            data = b""
        if not data:
            raise Closed
        self._buffer += data

    def wait_for_end(self) -> None:
        """Return when the server has ended the stream; what it still sent is thrown away."""
        try:
            while True:
                self._buffer = b""
                self._fill()
        except Closed:
            pass

    def close(self) -> None:
        self.sock.close()

    def reset(self) -> None:
        """Close with a TCP reset instead of a goodbye."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()


class Response(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes


def ask(wire: Wire, request: bytes) -> Response:
    """Send raw request bytes, read one response that has a length or none at all."""
    wire.send(request)
    return read_response(wire)


def read_response(wire: Wire) -> Response:
    head = wire.take_until(b"\r\n\r\n").decode("latin-1")
    first, *lines = head.split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    body = wire.take(int(headers.get("content-length", 0)))
    return Response(int(first.split()[1]), headers, body)


def handshake(path: str, *, method: str = "GET", version: str = "HTTP/1.1", **changed: str | None) -> bytes:
    """A WebSocket handshake; `changed` headers (underscores for dashes) replace the right ones, None leaves one out."""
    headers: dict[str, str | None] = {
        "Host": "localhost",
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": base64.b64encode(os.urandom(16)).decode(),
    }
    headers.update({name.replace("_", "-"): value for name, value in changed.items()})
    lines = [
        f"{method} {path} {version}",
        *(f"{name}: {value}" for name, value in headers.items() if value is not None),
    ]
    return "\r\n".join([*lines, "", ""]).encode()


class RawWebSocket(Wire):
    """A WebSocket after its handshake; not yet an Engine.IO session that joined anything."""

    def __init__(self, address: tuple[str, int], *, query: str = "EIO=4&transport=websocket", **options: Any) -> None:
        super().__init__(address, **options)
        response = ask(self, handshake(f"/socket.io/?{query}"))
        assert response.status == 101, response

    def send_frame(self, opcode: int, payload: bytes, **options: Any) -> None:
        self.send(masked(opcode, payload, **options))

    def send_text(self, text: str) -> None:
        self.send_frame(TEXT, text.encode())

    def read_frame(self) -> Frame:
        first, length = self.take(2)
        assert length < 128, "server frames are not masked"
        if length == 126:
            length = int.from_bytes(self.take(2), "big")
        elif length == 127:
            length = int.from_bytes(self.take(8), "big")
        return Frame(first & 15, self.take(length))

    def read_text(self) -> str:
        frame = self.read_frame()
        assert frame.opcode == TEXT, frame
        return frame.payload.decode()

    def read_close(self) -> int:
        """The code of the close frame, whatever comes before it."""
        while (frame := self.read_frame()).opcode != CLOSE:
            pass
        return frame.close_code


class RawClient(RawWebSocket):
    """An Engine.IO session over WebSocket that has read its opening packet."""

    def __init__(self, address: tuple[str, int], *, join: str | None = None, auth: Any = None, **options: Any) -> None:
        super().__init__(address, **options)
        opening = self.read_text()
        assert opening[0] == "0"
        self.opening = json.loads(opening[1:])
        if join is not None:
            self.join(join, auth)

    def join(self, namespace: str, auth: Any = None) -> None:
        self.send_text(f"40{namespace},{'' if auth is None else json.dumps(auth)}")
        answer = self.read_text()
        assert answer.startswith(f"40{namespace},"), answer
        assert self.read_text().startswith(f'42{namespace},["welcome"')

    def call(self, namespace: str, *event: Any, ack: int = 1) -> Any:
        self.send_text(f"42{namespace},{ack}{json.dumps(event, ensure_ascii=False)}")
        prefix = f"43{namespace},{ack}"
        while not (text := self.read_text()).startswith(prefix):
            pass
        return json.loads(text[len(prefix) :])
