"""A line between clients and a server that a test can cut: it goes silent, as a network does, and tells nobody."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import gevent
from gevent.event import Event
from gevent.server import StreamServer


class Line:
    """A TCP proxy. Cut, it still takes connections, and passes nothing on; mended, it passes on what waited."""

    def __init__(self, address: str, port: int) -> None:
        host, _, there = address.removeprefix("http://").rpartition(":")
        self._there = host, int(there)
        self._whole = Event()
        self._whole.set()
        self._ends: set[Any] = set()
        self._server = StreamServer(("127.0.0.1", port), self._serve)
        self._server.start()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def cut(self) -> None:
        self._whole.clear()

    def mend(self) -> None:
        self._whole.set()

    def forget(self) -> None:
        """Every connection so far is lost to its client; its server hears nothing of that, nor of anything else."""
        for end in self._ends:
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        self._ends.clear()

    def close(self) -> None:
        self._server.stop(timeout=0)
        self.forget()

    def _serve(self, here: Any, _address: Any) -> None:
        self._ends.add(here)
        self._whole.wait()
        there = socket.create_connection(self._there, 30)
        gevent.spawn(self._pass_on, there, here)
        self._pass_on(here, there)
        if here in self._ends:  # the client hung up
            self._ends.discard(here)
            there.close()

    def _pass_on(self, source: Any, sink: Any) -> None:
        with suppress(OSError):
            while data := source.recv(65_536):
                self._whole.wait()
                sink.sendall(data)
        if source not in self._ends and sink in self._ends:
            with suppress(OSError):  # the server hung up
                sink.shutdown(socket.SHUT_RDWR)


@contextmanager
def line_to(address: str, port: int) -> Iterator[Line]:
    """A line from `port` to the server at `address`."""
    line = Line(address, port)
    try:
        yield line
    finally:
        line.close()
