"""Raw servers for tests: each connection is handed to a function, byte by byte."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from gevent.server import StreamServer

Handler = Callable[[socket.socket], None]


@contextmanager
def serving(handler: Handler, **tls: Any) -> Iterator[int]:
    """A loopback port where every connection is handled by `handler`, then closed."""

    def handle(sock: socket.socket, _address: object) -> None:
        with sock:
            handler(sock)

    server = StreamServer(("127.0.0.1", 0), handle, **tls)
    server.start()
    try:
        yield server.server_port
    finally:
        server.stop(timeout=0.1)


def server_side(certificate: tuple[str, str]) -> ssl.SSLContext:
    """What a server with this certificate and key speaks."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate[0], certificate[1])
    return context


def read_request(sock: socket.socket) -> bytes:
    """A request's head and body; b"" when the client has closed."""
    data = b""
    while b"\r\n\r\n" not in data:
        piece = sock.recv(65_536)
        if not piece:
            return b""
        data += piece
    head, _, body = data.partition(b"\r\n\r\n")
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            while len(body) < int(line[15:]):
                body += sock.recv(65_536)
    return head + b"\r\n\r\n" + body


@contextmanager
def closed_port() -> Iterator[int]:
    """A port that nobody listens on, held so that nobody can."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        yield sock.getsockname()[1]
