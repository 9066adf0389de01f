"""One worker process: the listening socket, the cap on connections, a clean stop."""

from __future__ import annotations

import errno
import logging
import signal
import socket
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

import gevent
from gevent import pywsgi
from gevent.event import Event

from config import ConfigError

from .affinity import Siblings
from .crew import crew
from .engine import Engine
from .handler import Handler
from .limits import ServingLimits
from .machines import Machines
from .post import Post
from .upgrade import WebSocketEndpoint

log = logging.getLogger("parley.serving")

_BUSY = b"HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nRetry-After: 5\r\nContent-Length: 0\r\n\r\n"
_BACKLOG = 1_024
_MOST_TURNED_AWAY_AT_ONCE = 100
_BEAT_S = 1.0
_RETURNS_PER_S = 500
"""Clients a second that are sent to the other workers: each costs them some milliseconds."""
_LONGEST_LEAVE_S = 8.0


class Server(pywsgi.WSGIServer):
    """gevent's server, counting connections from accept to the closed descriptor, WebSockets included."""

    handler_class = Handler

    def __init__(
        self,
        host: str,
        port: int,
        application: Callable[..., Any],
        limits: ServingLimits,
        socket_paths: tuple[str, ...],
        listener: socket.socket | None,
    ) -> None:
        # SERVER_NAME is given so that gevent does not ask the DNS for it. With more processes on one listener each
        # takes one connection at a time (`wsgi.multiprocess` tells gevent), else the first to wake gets them all.
        environ = {"SERVER_NAME": host, "wsgi.multiprocess": listener is not None}
        where, backlog = (listener, None) if listener is not None else ((host, port), _BACKLOG)
        super().__init__(where, application, spawn=crew.run, log=None, error_log=log, backlog=backlog, environ=environ)
        self.limits = limits
        self.siblings: Siblings | None = None
        self.machines: Machines | None = None
        self.socket_paths = socket_paths
        self.leaving = False
        self.stopping = False
        self.open = 0
        self.handlers: set[Handler] = set()
        self.empty = Event()
        self._turned_away = 0

    def do_read(self) -> tuple[Any, Any] | None:
        accepted: tuple[Any, Any] | None = super().do_read()
        if accepted is not None:
            with suppress(OSError):  # the peer may have left already; reading will tell
                accepted[0].setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return accepted

    def do_handle(self, sock: Any, address: Any) -> None:
        if self.open < self.limits.max_connections:
            self.open += 1
            self.empty.clear()
            super().do_handle(sock, address)
        else:
            self._refuse(sock)

    def adopt(self, sock: Any, read: bytes) -> None:
        """Go on with a connection that another worker accepted and read a little of. Never yields."""
        try:
            address = sock.getpeername()
        except OSError:  # it has left
            sock.close()
            return
        if self.open < self.limits.max_connections:
            self.open += 1
            self.empty.clear()
            crew.run(self.handle, sock, address, read)
        else:
            self._refuse(sock)

    def handle(self, sock: Any, address: Any, read: bytes = b"") -> None:
        handler = Handler(sock, address, self, read)
        self.handlers.add(handler)
        try:
            handler.handle()
        finally:
            self.handlers.discard(handler)
            if not handler.switched:
                self.release()

    def release(self) -> None:
        """A connection is gone. Never yields."""
        self.open -= 1
        if not self.open:
            self.empty.set()

    def _refuse(self, sock: Any) -> None:
        if self._turned_away < _MOST_TURNED_AWAY_AT_ONCE:
            self._turned_away += 1
            crew.run(self._turn_away, sock)
        else:
            sock.close()

    def _turn_away(self, sock: Any) -> None:
        try:
            sock.settimeout(1.0)
            sock.sendall(_BUSY)
            sock.shutdown(socket.SHUT_WR)
            sock.recv(65_536)  # what was asked; unread, it would turn the answer into a reset
        except OSError:
            pass
        finally:
            sock.close()
            self._turned_away -= 1


class Worker:
    """Serves one WSGI application with Socket.IO in front of it.

    Args:
        host: Address to bind; `0.0.0.0` or `::` for all.
        port: 0 for any free one, see `address`.
        engine: `socketio.server.eio` of `make_socketio`: told the port, and its sessions ended at a stop.
        path: Where Socket.IO is.
        endpoints: Other WebSockets that `application` serves; handshakes anywhere else are refused.
        listener: A socket that listens already, shared with other workers, in place of `host` and `port`.
        siblings: Those other workers, where sessions are theirs, too.
        machines: Where workers of other machines are, likewise.
    """

    def __init__(
        self,
        application: Callable[..., Any],
        host: str,
        port: int,
        *,
        engine: Engine | None = None,
        limits: ServingLimits | None = None,
        path: str = "socket.io",
        endpoints: Sequence[WebSocketEndpoint] = (),
        listener: socket.socket | None = None,
        siblings: Siblings | None = None,
        machines: Machines | None = None,
    ) -> None:
        self._host = host
        self._port = port
        self._engine = engine
        self._endpoints = tuple(endpoints)
        paths = (f"/{path.strip('/')}/", *(endpoint.path for endpoint in self._endpoints))
        self._server = Server(host, port, application, limits or ServingLimits(), paths, listener)
        self._siblings = self._server.siblings = siblings
        self._server.machines = machines
        self._stop_asked = Event()
        self._stopped = False

    @property
    def address(self) -> tuple[str, int]:
        """Host and port it listens on, known after `start`."""
        host, port = self._server.address[:2]
        return str(host), int(port)

    @property
    def connections(self) -> int:
        """Open connections, HTTP and WebSocket."""
        return int(self._server.open)

    def start(self) -> None:
        """Listen, and serve from the moment the caller yields.

        Raises:
            ConfigError: The address cannot be had; the message says what to do.
        """
        try:
            self._server.start()
        except OSError as error:
            raise _explained(error, self._host, self._port) from None
        if self._engine is not None:
            self._engine.origins.port = self.address[1]
        if self._siblings is not None and self._engine is not None:
            self._engine.worker_name = self._siblings.name
            self._siblings.listen(adopt=self._server.adopt)

    def run(self) -> None:
        """Start unless started, serve until SIGTERM, SIGINT or `ask_to_stop`. The caller goes on with `stop`."""
        if not self._server.started:
            self.start()
        watchers = [gevent.signal_handler(number, self.ask_to_stop) for number in (signal.SIGTERM, signal.SIGINT)]
        try:
            self._stop_asked.wait()
        finally:
            for watcher in watchers:
                watcher.cancel()

    def run_at(self, post: Post) -> None:
        """The same as one of several workers: until told to end, or left alone by the process that keeps them.

        It beats until this process ends, and no second signal cuts the end short.
        """
        gevent.signal_handler(signal.SIGTERM, self.ask_to_stop)
        gevent.spawn(self._beat, post)
        self._stop_asked.wait()

    def _beat(self, post: Post) -> None:
        while True:
            post.beat()
            if post.last_word.was_said:  # perhaps by the death of the process that keeps the workers
                self.ask_to_stop()
            gevent.sleep(_BEAT_S)

    def ask_to_stop(self) -> None:
        """Have `run` return. Never yields."""
        self._stop_asked.set()

    def leave(self) -> None:
        """Leave what is new to others, and send the clients to them bit by bit; what runs goes on. Yields."""
        self._server.leaving = True
        self._server.close()
        if self._engine is not None:
            self._engine.send_away(_RETURNS_PER_S, _LONGEST_LEAVE_S)

    def stop(self, grace_s: float = 5.0) -> None:
        """Accept nothing more, tell clients to come back, let running requests end; close the rest after `grace_s`."""
        if self._stopped:
            return
        self._stopped = True
        self._stop_asked.set()
        server = self._server
        server.stopping = True
        server.close()
        if self._engine is not None:
            self._engine.goodbye()
        for endpoint in self._endpoints:
            endpoint.goodbye()
        for handler in list(server.handlers):
            if handler.idle:
                handler.abort()
        if server.open and not server.empty.wait(grace_s):
            for handler in list(server.handlers):
                handler.abort()
            server.empty.wait(server.limits.close_s)
        if self._siblings is not None:
            self._siblings.close()
        if self._server.machines is not None:
            self._server.machines.close()


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens, for several workers to share.

    Raises:
        ConfigError: The address cannot be had; the message says what to do.
    """
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.create_server(address[:2], family=family, backlog=_BACKLOG)
    except OSError as error:
        raise _explained(error, host, port) from None
    return listener


def _explained(error: OSError, host: str, port: int) -> ConfigError:
    if error.errno == errno.EADDRINUSE:
        other = port + 1 if port < 65_535 else 5000
        return ConfigError(
            f"PORT {port} on {host} is taken by another program."
            f" Stop that program, or set PORT to another number, such as PORT={other}."
        )
    if error.errno == errno.EACCES:
        return ConfigError(
            f"PORT {port} needs the administrator's rights. Set PORT to a number from 1024 on, such as PORT=5000."
        )
    if error.errno == errno.EADDRNOTAVAIL or isinstance(error, socket.gaierror):
        return ConfigError(
            f"HOST {host} is not an address of this machine."
            " Use 127.0.0.1 for this machine only, 0.0.0.0 for every address."
        )
    return ConfigError(f"HOST {host} and PORT {port} cannot be listened on: {error.strerror or error}.")
