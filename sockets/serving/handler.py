"""One accepted connection: HTTP under limits of time and size, until it ends or becomes a WebSocket."""

from __future__ import annotations

import io
import logging
import socket
from contextlib import suppress
from time import monotonic
from typing import TYPE_CHECKING, Any

from gevent import monkey, pywsgi
from werkzeug.exceptions import RequestEntityTooLarge, RequestTimeout

from . import upgrade
from .affinity import asked_session
from .http_request import BadRequest, body_length, parse_request_line, read_headers
from .machines import RELAYED, relay
from .upgrade import UPGRADE_KEY, BadUpgrade, UnknownVersion, Upgrade

if TYPE_CHECKING:
    from .worker import Server

log = logging.getLogger("parley.serving")

# The hub reads and writes WebSockets itself, so they need none of what gevent's own socket class adds.
PlainSocket: type[socket.socket] = monkey.get_original("socket", "socket")

_SLOWEST_BODY_BYTES_PER_S = 32_768


class DeadlineReader(io.RawIOBase):
    """Reads from a socket until a moment; a peer that trickles gains nothing by it.

    Args:
        read: What was read from it already.
    """

    def __init__(self, sock: socket.socket, seconds: float, read: bytes = b"") -> None:
        self._sock = sock
        self._read = read
        self._grants_time = False
        self._waits = True
        self._deadline = monotonic() + seconds

    def readable(self) -> bool:
        return True

    def allow(self, seconds: float, *, body: bool = False) -> None:
        """Set the deadline anew. While a body is read, received bytes extend it at the slowest rate that is served."""
        self._deadline = monotonic() + seconds
        self._grants_time = body

    def stop_waiting(self) -> None:
        """From now on give only what is there already."""
        self._waits = False

    def go_on_waiting(self) -> None:
        """Undo `stop_waiting`."""
        self._waits = True

    def readinto(self, buffer: Any) -> int | None:
        if self._read:
            count = min(len(self._read), len(buffer))
            buffer[:count], self._read = self._read[:count], self._read[count:]
            return count
        left = self._deadline - monotonic()
        if left <= 0:
            raise TimeoutError("the peer took too long")
        self._sock.settimeout(left if self._waits else 0.0)
        try:
            count = self._sock.recv_into(buffer)
        except BlockingIOError:
            return None
        if self._grants_time:
            self._deadline += count / _SLOWEST_BODY_BYTES_PER_S
        return count


class Body(pywsgi.Input):
    """A request's body; what does not come in time is answered 408, chunks without end 413."""

    max_bytes: int
    __slots__ = ("max_bytes",)

    def read(self, length: int | None = None) -> bytes:
        if self.chunked_input and (length is None or length < 0):
            length = self.max_bytes + 1
        try:
            data = bytes(super().read(length))
        except TimeoutError:
            raise RequestTimeout from None
        self.max_bytes -= len(data)
        if self.max_bytes < 0:
            raise RequestEntityTooLarge
        return data

    def readline(self, size: int | None = None) -> bytes:
        try:
            return bytes(super().readline(size))
        except TimeoutError:
            raise RequestTimeout from None

    def _discard(self) -> None:
        """Nothing: a body the application left unread ends the connection instead, see `Handler`."""

    @property
    def is_used_up(self) -> bool:
        if self.chunked_input:
            return bool(self.chunk_length == 0)
        return bool(self.position >= (self.content_length or 0))


class Handler(pywsgi.WSGIHandler):
    """gevent's handler with its reading replaced.

    Attributes:
        switched: The socket belongs to a WebSocket now.
        idle: Waits for a next request; may be closed without loss.
    """

    server: Server

    def __init__(self, sock: Any, address: Any, server: Server, read: bytes = b"") -> None:
        self._limits = server.limits
        self._reader = DeadlineReader(sock, server.limits.header_s, read)
        super().__init__(sock, address, server, rfile=io.BufferedReader(self._reader))
        self._first = True
        self._body_is_used_up = True
        self.switched = False
        self.idle = False
        self._passed_on = False

    def handle(self) -> None:
        try:
            while (outcome := self.handle_one_request()) is True and not self.server.stopping:
                pass
            if isinstance(outcome, tuple):
                self.socket.settimeout(self._limits.close_s)
                self.socket.sendall(outcome[1])
            if not self.switched and not self._passed_on and (isinstance(outcome, tuple) or not self._body_is_used_up):
                self._linger()
        except OSError:
            pass
        finally:
            if not self.switched:
                self.socket.close()

    def abort(self) -> None:
        """End the connection under its greenlet."""
        with suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)

    def _linger(self) -> None:
        # A peer still sending would have its answer wiped out by the reset that closing at once provokes.
        self.socket.shutdown(socket.SHUT_WR)
        self._reader.allow(self._limits.close_s)
        buffer = bytearray(65_536)
        for _ in range(64):
            if not self._reader.readinto(buffer):
                return

    # Reading

    def read_requestline(self) -> str:
        if not self._first:
            self._reader.allow(self._limits.idle_s)
            self.idle = True
            try:
                if not self.rfile.peek(1):
                    return ""
            finally:
                self.idle = False
            self._reader.allow(self._limits.header_s)
        self._first = False
        line = self.rfile.readline(pywsgi.MAX_REQUEST_LINE)
        return str(line.decode("latin-1"))

    def read_request(self, raw_requestline: str) -> bool:
        self.requestline = raw_requestline
        self.command, self.path, self.request_version = parse_request_line(raw_requestline)
        limits = self._limits
        self.headers = read_headers(
            self.rfile.readline, max_bytes=limits.max_header_bytes, max_headers=limits.max_headers
        )
        self.content_length = body_length(self.headers, self.request_version, max_bytes=limits.max_body_bytes)
        connection = (self.headers.get("connection") or "").lower()
        keeps = connection == "keep-alive" if self.request_version == "HTTP/1.0" else "close" not in connection
        self.close_connection = not keeps
        return True

    def get_environ(self) -> dict[str, Any]:
        environ: dict[str, Any] = super().get_environ()
        expects = self.socket if environ.get("HTTP_EXPECT", "").lower() == "100-continue" else None
        chunked = "HTTP_TRANSFER_ENCODING" in environ
        self._body = Body(self.rfile, self.content_length, socket=expects, chunked_input=chunked)
        self._body.max_bytes = self._limits.max_body_bytes
        self.wsgi_input = environ["wsgi.input"] = self._body
        environ["wsgi.input_terminated"] = True
        environ["parley.peer_left"] = self.peer_left
        self._reader.allow(self._limits.body_s, body=True)
        return environ

    def peer_left(self) -> bool:
        """Whether the peer has closed its side, for answers that take long to come. Never yields."""
        self.socket.settimeout(0.0)
        try:
            return not self.socket.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            return False
        except OSError:
            return True

    def handle_one_response(self) -> None:
        if self._pass_on():
            self._passed_on = self.close_connection = True
            return
        self._body_is_used_up = True
        super().handle_one_response()
        if not self._body.is_used_up:
            self._body_is_used_up = False
            self.close_connection = True

    # Passing on

    def _pass_on(self) -> bool:
        """Give the connection to the worker that holds the session asked for, unless it is this one. Yields."""
        siblings, machines = self.server.siblings, self.server.machines
        if siblings is None or not self.environ["PATH_INFO"].startswith(self.server.socket_paths[0]):
            return False
        sid = asked_session(self.environ["QUERY_STRING"])
        line = self.requestline.rstrip("\r\n")
        if owner := siblings.owner(sid):
            head = "".join((line, "\r\n", *self.headers.headers, "\r\n")).encode("latin-1")
            return siblings.pass_on(owner, self.socket, head + self._read_ahead())
        if machines is None or self.headers.get(RELAYED) is not None:
            return False
        address = machines.address_of(sid)
        return bool(address) and relay(self.socket, line, self.headers.fields, self._read_ahead(), address)

    def _read_ahead(self) -> bytes:
        """What has come behind the headers already; it stays to be read."""
        self._reader.stop_waiting()
        early = bytes(self.rfile.peek(1))
        self._reader.go_on_waiting()
        return early

    # Answering

    def run_application(self) -> None:
        if upgrade.asks_for_websocket(self.environ):
            status, headers = self._offer_upgrade()
            if status:
                self.close_connection = True
                self.result = [status.encode()]
                self.start_response(status, [("Content-Type", "text/plain"), ("Connection", "close"), *headers])
                self.process_result()
                return
        super().run_application()

    def _offer_upgrade(self) -> tuple[str, list[tuple[str, str]]]:
        """Give the application a handshake to accept, or the status to refuse it with."""
        if not self.environ["PATH_INFO"].startswith(self.server.socket_paths):
            return "404 Not Found", []
        try:
            answer = upgrade.answer(self.environ)
        except UnknownVersion:
            return "426 Upgrade Required", [("Sec-WebSocket-Version", "13"), ("Upgrade", "websocket")]
        except BadUpgrade:
            return "400 Bad Request", []
        self.environ[UPGRADE_KEY] = Upgrade(lambda: self._switch(answer), self.server.release)
        return "", []

    def _switch(self, answer: bytes) -> tuple[socket.socket, bytes]:
        try:
            self.socket.settimeout(self._limits.close_s)
            self.socket.sendall(answer)
            self._reader.stop_waiting()
            early = bytes(self.rfile.peek(1))
        except OSError:
            raise BadUpgrade("The client left during the handshake") from None
        sock = PlainSocket(fileno=self.socket.detach())
        sock.setblocking(False)
        self.switched = self.close_connection = True
        return sock, early

    def finalize_headers(self) -> None:
        super().finalize_headers()
        if self.server.leaving and not self.close_connection:
            self.close_connection = True
            self.response_headers.append((b"Connection", b"close"))

    def _sendall(self, data: bytes) -> None:
        self.socket.settimeout(self._limits.send_s)
        super()._sendall(data)

    def handle_error(self, t: Any, v: Any, tb: Any) -> None:
        if self.switched or isinstance(v, TimeoutError):
            self.close_connection = True
        if isinstance(v, RequestTimeout) and not self.headers_sent:
            self.close_connection = True
            self.result = [b"Request Timeout"]
            self.start_response("408 Request Timeout", [("Content-Type", "text/plain"), ("Connection", "close")])
            self.process_result()
        elif self.switched:
            log.error("A WebSocket could not be started.", exc_info=(t, v, tb))
        else:
            super().handle_error(t, v, tb)

    def _log_error(self, t: Any, v: Any, tb: Any) -> None:
        if isinstance(v, OSError):
            log.info("A client left before its answer was sent: %s", v)
        elif isinstance(v, Exception):
            log.error("A request failed.", exc_info=(t, v, tb))

    def _handle_client_error(self, ex: Exception) -> tuple[str, bytes]:
        status = "400 Bad Request"
        if isinstance(ex, BadRequest):
            status = ex.status
        elif isinstance(ex, TimeoutError):
            status = "408 Request Timeout"
        elif not isinstance(ex, OSError):
            log.error("A request could not be read.", exc_info=ex)
        return status, f"HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n".encode()

    def log_request(self) -> None:
        """Nothing: the application logs what is worth it."""
