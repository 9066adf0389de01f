from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import flask
import gevent
import pytest
import requests
from gevent.event import Event

from config import ConfigError
from sockets.serving.worker import Worker
from tests.sockets.serving.conftest import Served, wait_until
from tests.sockets.serving.raw_client import Closed, RawClient, Wire, ask

PROGRAM = """
from gevent import monkey
monkey.patch_all()
import flask
from sockets.serving.extension import make_socketio
from sockets.serving.worker import Worker
app = flask.Flask("program")
worker = Worker(app, "127.0.0.1", 0, engine=make_socketio(app).server.eio)
worker.start()
print(worker.address[1], flush=True)
worker.run()
worker.stop()
print("stopped", flush=True)
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_it_cleanly(number: int) -> None:
    root = Path(__file__).parents[3]
    with subprocess.Popen([sys.executable, "-c", PROGRAM], cwd=root, stdout=subprocess.PIPE, text=True) as program:
        assert program.stdout is not None
        port = int(program.stdout.readline())
        kept_alive = Wire(("127.0.0.1", port))
        assert ask(kept_alive, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").status == 404
        program.send_signal(number)
        assert program.stdout.readline() == "stopped\n"
        assert program.wait(10) == 0
        kept_alive.wait_for_end()


def test_a_taken_port_is_named_with_what_to_do(served: Served) -> None:
    port = served.address[1]
    with pytest.raises(ConfigError, match=rf"^PORT {port} on 127.0.0.1 is taken.* set PORT"):
        Worker(served.app, "127.0.0.1", port).start()


def test_a_foreign_address_is_named_with_what_to_do() -> None:
    with pytest.raises(ConfigError, match=r"^HOST 192\.0\.2\.1 is not an address of this machine"):
        Worker(flask.Flask("nowhere"), "192.0.2.1", 0).start()


def test_a_running_request_may_end_before_a_stop_and_nothing_new_begins(served: Served) -> None:
    began, may_end = Event(), Event()

    def slow() -> str:
        began.set()
        may_end.wait(10)
        return "whole"

    served.app.add_url_rule("/slow", "slow", slow)
    answer = gevent.spawn(requests.get, f"{served.url}/slow", timeout=10)
    idle = Wire(served.address)
    assert ask(idle, b"GET /hello HTTP/1.1\r\nHost: x\r\n\r\n").status == 200
    assert began.wait(10)
    stop = gevent.spawn(served.worker.stop, 10.0)
    idle.wait_for_end()
    with pytest.raises((ConnectionError, Closed)):
        ask(Wire(served.address), b"GET /hello HTTP/1.1\r\nHost: x\r\n\r\n")
    may_end.set()
    assert answer.get().text == "whole"
    stop.get()
    assert served.worker.connections == 0


def test_a_stop_does_not_wait_longer_than_it_was_given(served: Served) -> None:
    began = Event()

    def endless() -> str:
        began.set()
        Event().wait(10)
        return "never"

    served.app.add_url_rule("/endless", "endless", endless)
    wire = Wire(served.address)
    wire.send(b"GET /endless HTTP/1.1\r\nHost: x\r\n\r\n")
    assert began.wait(10)
    with gevent.Timeout(5):
        served.worker.stop(grace_s=0.01)
    wire.wait_for_end()


def test_a_failing_view_is_a_500_and_the_worker_lives(served: Served) -> None:
    def broken() -> str:
        raise RuntimeError("on purpose")

    served.app.add_url_rule("/broken", "broken", broken)
    assert requests.get(f"{served.url}/broken", timeout=10).status_code == 500
    assert requests.get(f"{served.url}/hello", timeout=10).text == "hello"


def test_a_client_that_leaves_a_streamed_answer_ends_it(served: Served) -> None:
    """The generator is closed, so that whoever feeds it can stop."""
    ended = Event()

    def stream() -> flask.Response:
        def pieces() -> object:
            try:
                while True:
                    yield b"data: x\n\n" * 100
                    gevent.sleep(0)
            finally:
                ended.set()

        return flask.Response(pieces(), mimetype="text/event-stream")  # type: ignore[arg-type]

    served.app.add_url_rule("/stream", "stream", stream)
    wire = Wire(served.address)
    wire.send(b"GET /stream HTTP/1.1\r\nHost: x\r\n\r\n")
    wire.take_until(b"data: x")
    wire.reset()
    assert ended.wait(10)
    wait_until(lambda: served.worker.connections == 0)


def test_one_that_leaves_ends_its_connections_after_their_answers(served: Served) -> None:
    """A request that was under way is answered; only who asked nothing more has to come to another worker."""
    began, may_end = Event(), Event()

    def slow() -> str:
        began.set()
        may_end.wait(10)
        return "whole"

    served.app.add_url_rule("/slow", "slow", slow)
    kept_alive, busy = Wire(served.address), Wire(served.address)
    assert "connection" not in ask(kept_alive, b"GET /hello HTTP/1.1\r\nHost: x\r\n\r\n").headers
    answer = gevent.spawn(ask, busy, b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n")
    assert began.wait(10)
    client = RawClient(served.address, join="/echo")
    served.worker.leave()
    assert client.read_close() == 1001
    with pytest.raises((ConnectionError, Closed)):
        ask(Wire(served.address), b"GET /hello HTTP/1.1\r\nHost: x\r\n\r\n")
    assert ask(kept_alive, b"GET /hello HTTP/1.1\r\nHost: x\r\n\r\n").headers["connection"] == "close"
    kept_alive.wait_for_end()
    may_end.set()
    assert answer.get(timeout=10).headers["connection"] == "close"
    busy.wait_for_end()
