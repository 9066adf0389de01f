"""A worker with a small application behind it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import flask
import gevent
import pytest
import socketio
from gevent.event import Event
from gevent.queue import Queue
from socketio.exceptions import ConnectionRefusedError as Refused

from sockets.serving.affinity import Siblings
from sockets.serving.engine_socket import EngineSocket
from sockets.serving.extension import make_socketio
from sockets.serving.limits import ServingLimits
from sockets.serving.worker import Worker


class Echo(socketio.Namespace):
    """Answers with what it was told; notes who came and went."""

    inline_events = frozenset({"inline"})

    def __init__(self) -> None:
        super().__init__("/echo")
        self.happened: Queue[tuple[Any, ...]] = Queue()
        self.sids: list[str] = []
        self.gate = Event()
        self.gate.set()

    def on_connect(self, sid: str, environ: dict[str, Any], auth: Any) -> None:
        self.gate.wait(10)
        if auth == {"token": "bad"}:
            raise Refused("Wrong token.", {"code": "unauthenticated", "message": "Wrong token."})
        self.happened.put(("connect", auth))
        self.sids.append(sid)

    def after_connect(self, sid: str) -> None:
        self.emit("welcome", {"protocol": 1}, to=sid)

    def on_disconnect(self, sid: str, reason: str) -> None:
        self.sids.remove(sid)
        self.happened.put(("disconnect", reason))

    def on_echo(self, sid: str, *args: Any) -> Any:
        self.happened.put(("echo", *args))
        return args

    def on_inline(self, sid: str, *args: Any) -> Any:
        return gevent.getcurrent() is not None and args

    def on_leave(self, sid: str) -> None:
        self.disconnect(sid)

    def on_fail(self, sid: str) -> None:
        raise RuntimeError("on purpose")


class Served:
    """A running worker and the means to look inside."""

    def __init__(self, limits: ServingLimits, *, siblings: Siblings | None = None, **options: Any) -> None:
        self.app = flask.Flask("served")
        self.echo = Echo()
        self.socketio = make_socketio(self.app, limits=limits, **options)
        self.socketio.server.register_namespace(self.echo)
        self.app.add_url_rule("/hello", "hello", view_func=lambda: "hello", methods=["GET"])
        self.app.add_url_rule("/body", "body", view_func=lambda: str(len(flask.request.get_data())), methods=["POST"])
        self.engine = self.socketio.server.eio
        self.worker = Worker(self.app, "127.0.0.1", 0, engine=self.engine, limits=limits, siblings=siblings)
        self.worker.start()

    @property
    def address(self) -> tuple[str, int]:
        return self.worker.address

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.address[1]}"

    def session(self) -> EngineSocket:
        """The one session there is."""
        sessions: list[EngineSocket] = list(self.engine.sockets.values())
        assert len(sessions) == 1
        return sessions[0]

    def next(self) -> tuple[Any, ...]:
        happened: tuple[Any, ...] = self.echo.happened.get(timeout=10)
        return happened


def wait_until(holds: Callable[[], bool], seconds: float = 10.0) -> None:
    """Let the server work until something holds that has no event to wait for."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "did not happen in time"
        gevent.sleep(0.005)


@pytest.fixture
def serve() -> Iterator[Callable[..., Served]]:
    """Start a worker; `ServingLimits` fields and `make_socketio` arguments as keywords."""
    running: list[Served] = []

    def start(**options: Any) -> Served:
        fields = {name: options.pop(name) for name in list(options) if name in ServingLimits.__dataclass_fields__}
        served = Served(ServingLimits(**fields), **options)
        running.append(served)
        return served

    yield start
    for served in running:
        served.worker.stop(grace_s=0.1)


@pytest.fixture
def served(serve: Callable[..., Served]) -> Served:
    """A worker with the limits it has in production."""
    return serve()
