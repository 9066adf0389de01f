"""A small HTTP/1.1 server that has every byte and every hang-up in its hand."""

from __future__ import annotations

import socket
import struct
import time
from dataclasses import dataclass, field
from typing import Any

import gevent
from gevent.event import Event
from gevent.server import StreamServer

_MAX_HEAD_BYTES = 65_536


class HungUp(Exception):
    """The client closed the connection while it was being served."""


@dataclass(slots=True)
class Request:
    """One request as it came."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass(slots=True)
class Call:
    """What became of one request; tests read it.

    Attributes:
        sold: Tokens sent before the end or the hang-up.
        hung_up: Set when the client closed before the answer was complete; `hung_up_at` is monotonic.
        ended: Set when the server is done with the call, whatever happened.
    """

    request: Request
    dialect: str = ""
    json: dict[str, Any] = field(default_factory=dict)
    sold: int = 0
    prompt_tokens: int = 0
    hung_up_at: float | None = None
    hung_up: Event = field(default_factory=Event)
    ended: Event = field(default_factory=Event)


class Exchange:
    """One connection while a request is answered: sends bytes, notices the client's end at once.

    Attributes:
        always: Headers of every answer on it.
    """

    def __init__(self, connection: _Connection, call: Call) -> None:
        self.call = call
        self.keeps = True
        self.always: dict[str, str] = {}
        self._connection = connection
        self._is_chunked = False

    def head(self, status: str, headers: dict[str, str], *, is_chunked: bool = False) -> None:
        self._is_chunked = is_chunked
        headers = {**headers, **self.always}
        if is_chunked:
            headers = {**headers, "Transfer-Encoding": "chunked"}
        if headers.get("Connection") == "close":
            self.keeps = False
        lines = [f"HTTP/1.1 {status}", *(f"{name}: {value}" for name, value in headers.items()), "", ""]
        self.raw("\r\n".join(lines).encode())

    def send(self, data: bytes) -> None:
        """Send a part of the body as one segment."""
        self.raw(b"%x\r\n%s\r\n" % (len(data), data) if self._is_chunked else data)

    def finish(self) -> None:
        if self._is_chunked:
            self.raw(b"0\r\n\r\n")

    def whole(self, status: str, body: bytes, headers: dict[str, str]) -> None:
        self.head(status, {**headers, "Content-Length": str(len(body))})
        self.raw(body)

    def raw(self, data: bytes) -> None:
        """Send bytes as they are.

        Raises:
            HungUp: The client has closed.
        """
        if self.call.hung_up.is_set():
            raise HungUp
        try:
            self._connection.socket.sendall(data)
        except OSError:
            self._connection.gone(self.call)
            raise HungUp from None

    def receive(self) -> bytes:
        """What the client sent after its request, once something has come.

        Raises:
            HungUp: The client has closed.
        """
        connection = self._connection
        while not connection.ahead:
            if self.call.hung_up.is_set():
                raise HungUp
            connection.came.clear()
            connection.came.wait()
        data, connection.ahead = connection.ahead, b""
        return data

    def pause(self, seconds: float) -> None:
        """Wait; ends early with `HungUp` when the client closes."""
        if self.call.hung_up.wait(seconds):
            raise HungUp

    def reset(self) -> None:
        """End the connection with a TCP reset."""
        self.keeps = False
        self._connection.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    def cut(self) -> None:
        """End the connection after what was sent, without saying that the body is over."""
        self.keeps = False


class _Connection:
    """One client's socket, with a greenlet that reads ahead and so learns of its end."""

    def __init__(self, sock: socket.socket) -> None:
        self.socket = sock
        self.ahead = b""  # read, but not yet taken
        self.came = Event()

    def request(self) -> Request | None:
        """The next request; None when the client is done."""
        while (end := self.ahead.find(b"\r\n\r\n")) < 0:
            if len(self.ahead) > _MAX_HEAD_BYTES or not self._more():
                return None
        first, *lines = self.ahead[:end].decode("latin-1").split("\r\n")
        self.ahead = self.ahead[end + 4 :]
        headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        length = int(headers.get("content-length", "0"))
        while len(self.ahead) < length:
            if not self._more():
                return None
        body, self.ahead = self.ahead[:length], self.ahead[length:]
        method, path, _ = first.split(" ", 2)
        return Request(method, path, headers, body)

    def watch(self, call: Call) -> None:
        """Read ahead while the call is answered."""
        while self._more():
            pass
        self.gone(call)

    def gone(self, call: Call) -> None:
        if not call.ended.is_set() and not call.hung_up.is_set():
            call.hung_up_at = time.monotonic()
            call.hung_up.set()
        self.came.set()

    def _more(self) -> bool:
        try:
            data = self.socket.recv(65_536)
        except OSError:
            return False
        self.ahead += data
        self.came.set()
        return bool(data)


class LoopbackServer:
    """Serves on a loopback port and remembers every call. Use it with `with`, or `start` and `stop`."""

    def __init__(self, port: int = 0) -> None:
        self.calls: list[Call] = []
        self._came = Event()
        self._server = StreamServer(("127.0.0.1", port), self._serve)
        self._server.reuse_addr = 1

    @property
    def port(self) -> int:
        return int(self._server.server_port)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def answer(self, exchange: Exchange) -> None:
        """Answer one call. Subclasses do."""
        raise NotImplementedError

    def start(self) -> None:
        self._server.start()

    def stop(self) -> None:
        self._server.stop(timeout=0.1)

    def wait_for_call(self, number: int = 1, timeout_s: float = 5.0) -> Call:
        """The call of that number, once it has come."""
        deadline = time.monotonic() + timeout_s
        while len(self.calls) < number:
            came = self._came
            if not came.wait(deadline - time.monotonic()):
                raise TimeoutError(f"call {number} did not come")
        return self.calls[number - 1]

    def __enter__(self) -> Any:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _serve(self, sock: socket.socket, _address: object) -> None:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection = _Connection(sock)
        try:
            while (request := connection.request()) is not None:
                if not self._serve_one(connection, request):
                    return
        finally:
            sock.close()

    def _serve_one(self, connection: _Connection, request: Request) -> bool:
        call = Call(request)
        self.calls.append(call)
        self._came.set()
        self._came = Event()
        exchange = Exchange(connection, call)
        watcher = gevent.spawn(connection.watch, call)
        try:
            self.answer(exchange)
        except HungUp:
            exchange.keeps = False
        finally:
            call.ended.set()
            watcher.kill()
        return exchange.keeps and not call.hung_up.is_set()


