"""Many viewers in one thread: connected a few at a time, then read as fast as they come."""

from __future__ import annotations

import select
import socket
import time
from collections.abc import Callable

from benchmarks.socketio_frames import PeerBroke
from benchmarks.viewer import Viewer

_AT_ONCE = 40  # handshakes, and unanswered starts: more would measure the accept queue


class Crowd:
    """Owns the sockets of all viewers and moves their bytes."""

    def __init__(self, viewers: list[Viewer], *, host: str, port: int) -> None:
        self._viewers = viewers
        self._address = (host, port)
        self._sockets: dict[int, tuple[socket.socket, Viewer]] = {}
        self._poll = select.epoll()

    def join(self, *, limit_s: float) -> None:
        """Connect everybody and wait for every `welcome`."""
        opened: dict[Viewer, socket.socket] = {}

        def open_next(viewer: Viewer) -> None:
            opened[viewer] = connection = socket.create_connection(self._address, timeout=10)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection.sendall(viewer.hello(*self._address))
            connection.setblocking(False)
            self._sockets[connection.fileno()] = (connection, viewer)
            self._poll.register(connection, select.EPOLLIN)

        self._in_turn(open_next, lambda viewer: viewer.stage == "joined", limit_s, "connecting")

    def start(self, *, model: str, window_ms: int | None, limit_s: float) -> None:
        """Send every `turn_start` and wait for the acknowledgements."""
        sockets = {viewer: connection for connection, viewer in self._sockets.values()}

        def start_next(viewer: Viewer) -> None:
            sockets[viewer].sendall(viewer.start(model=model, window_ms=window_ms))

        self._in_turn(start_next, lambda viewer: viewer.stage != "starting", limit_s, "starting turns")

    def read_until(self, done: Callable[[], bool], *, limit_s: float, doing: str) -> None:
        """Read until `done`.

        Raises:
            PeerBroke: It took longer than `limit_s`, or a viewer found a fault.
        """
        limit = time.monotonic() + limit_s
        while not done():
            self._read(0.01)
            if time.monotonic() > limit:
                raise PeerBroke(f"{doing} took longer than {limit_s:g} s; viewers: {self._stages()}")

    def close(self) -> None:
        self._poll.close()
        for connection, _ in self._sockets.values():
            connection.close()

    def _in_turn(
        self, begin: Callable[[Viewer], None], finished: Callable[[Viewer], bool], limit_s: float, doing: str
    ) -> None:
        limit = time.monotonic() + limit_s
        waiting, under_way = list(reversed(self._viewers)), set[Viewer]()
        while waiting or under_way:
            while waiting and len(under_way) < _AT_ONCE:
                viewer = waiting.pop()
                begin(viewer)
                under_way.add(viewer)
            self._read(0.01)
            under_way = {viewer for viewer in under_way if not finished(viewer)}
            if time.monotonic() > limit:
                raise PeerBroke(f"{doing} took longer than {limit_s:g} s; viewers: {self._stages()}")

    def _read(self, timeout_s: float) -> None:
        sockets, now = self._sockets, time.monotonic
        for descriptor, _ in self._poll.poll(timeout_s):
            connection, viewer = sockets[descriptor]
            data = connection.recv(65536)
            if not data:
                raise PeerBroke(f"the server closed a connection that was {viewer.stage}")
            answer = viewer.receive(data, now())
            if answer:
                connection.sendall(answer)

    def _stages(self) -> dict[str, int]:
        stages = [viewer.stage for viewer in self._viewers]
        return {stage: stages.count(stage) for stage in sorted(set(stages))}
