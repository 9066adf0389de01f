"""Peers that do anything at any moment, and what is left of them afterwards: nothing."""

from __future__ import annotations

import gc
import json
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from random import Random

import gevent
import pytest

from sockets.serving.engine_socket import EngineSocket
from sockets.serving.frame import Frame
from sockets.serving.handler import Handler
from sockets.serving.socketio_server import Peer
from sockets.serving.websocket import WebSocket
from tests.sockets.serving.conftest import Served, wait_until
from tests.sockets.serving.raw_client import TEXT, Closed, Wire, ask, handshake, masked, read_response

PACKETS = [b"40/echo,", b"41/echo,", b'42/echo,1["echo",1]', b'42/echo,["inline",1]', b"3"]
ODD_PACKETS = [b"2", b"1", b"5", b"2probe", b"4zzz", b"", b"\xff", b'451-/echo,["echo",{"_placeholder":true,"num":0}]']
IMPATIENT = {
    "ping_interval_s": 0.03,
    "ping_timeout_s": 0.03,
    "close_s": 0.03,
    "join_s": 0.05,
    "upgrade_s": 0.05,
    "send_stall_s": 0.05,
    "header_s": 0.1,
    "body_s": 0.1,
    "idle_s": 0.1,
    "send_s": 0.2,
    "max_pending_bytes": 50_000,
}


class Vandal:
    """One visitor after the other, each different, all decided by the seed."""

    def __init__(self, served: Served, seed: int) -> None:
        self._served = served
        self._random = Random(seed)

    def visit(self, times: int) -> None:
        for _ in range(times):
            ways = [self._by_websocket, self._by_websocket, self._by_polling, self._by_half_a_request]
            with suppress(Closed, OSError):
                self._random.choice(ways)()

    def _by_half_a_request(self) -> None:
        wire = Wire(self._served.address)
        wire.send(b"GET /hello HTTP/1.1\r\nHost: x\r\n\r\n"[: self._random.randrange(40)])
        self._pause()
        self._leave(wire)

    def _by_websocket(self, query: str = "EIO=4&transport=websocket") -> None:
        wire = Wire(self._served.address, receive_buffer=self._random.choice([None, 2_048]))
        wire.send(handshake(f"/socket.io/?{query}"))
        if self._random.random() < 0.2:
            wire.reset()
            return
        if read_response(wire).status == 101:
            for _ in range(self._random.randrange(10)):
                wire.send(self._frame())
                self._flood()
                self._pause()
            self._leave(wire)

    def _by_polling(self) -> None:
        wire = Wire(self._served.address)
        path = "/socket.io/?EIO=4&transport=polling"
        opening = ask(wire, f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        sid = json.loads(opening.body[1:])["sid"]
        body = b"\x1e".join(self._random.choices(PACKETS, k=3))
        ask(wire, f"POST {path}&sid={sid} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
        polling = Wire(self._served.address)
        polling.send(f"GET {path}&sid={sid} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        self._flood()
        self._pause()
        if self._random.random() < 0.7:
            self._by_websocket(f"EIO=4&transport=websocket&sid={sid}")
        self._leave(polling)

    def _frame(self) -> bytes:
        draw = self._random.random()
        if draw < 0.6:
            frame = masked(TEXT, self._random.choice(PACKETS))
        elif draw < 0.8:
            frame = masked(TEXT, self._random.choice(ODD_PACKETS))
        elif draw < 0.9:
            frame = masked(self._random.choice([0, 2, 8, 9, 10, 11]), b"\x03\xe8", final=self._random.random() < 0.8)
        else:
            frame = self._random.randbytes(20)
        return frame if self._random.random() < 0.8 else frame[: self._random.randrange(len(frame))]

    def _flood(self) -> None:
        for session in list(self._served.engine.sockets.values())[:2]:
            while self._random.random() < 0.8 and session.offer(Frame(b"4" + bytes(10_000))):
                session.when_drained(lambda: None)

    def _pause(self) -> None:
        if self._random.random() < 0.5:
            gevent.sleep(self._random.random() * 0.03)

    def _leave(self, wire: Wire) -> None:
        self._random.choice([wire.close, wire.reset])()


@pytest.mark.parametrize("seed", [1, 2])
def test_nothing_is_left_of_peers_that_do_anything_at_any_moment(serve: Callable[..., Served], seed: int) -> None:
    """No descriptor, session, room or greenlet; and the process lives: libev ends it for one misused watcher."""
    served = serve(**IMPATIENT)
    gc.collect()  # what earlier tests left goes now, and not while this one counts
    before = len(list(Path("/proc/self/fd").iterdir()))
    gevent.joinall([gevent.spawn(Vandal(served, seed * 100 + n).visit, 20) for n in range(8)], raise_error=True)
    wait_until(lambda: not served.worker.connections and not served.engine.sockets)
    server = served.socketio.server
    wait_until(lambda: not (server.environ or server._peers or server.manager.rooms or served.echo.sids))
    assert not server.manager.pending_connect
    assert not server.manager.pending_disconnect
    assert not served.engine._unjoined
    gc.collect()
    assert not [thing for thing in gc.get_objects() if isinstance(thing, WebSocket | EngineSocket | Peer | Handler)]
    assert len(list(Path("/proc/self/fd").iterdir())) <= before
