"""MySQL is away, restarts, hangs, has no connection left: no answer is lost, and none is paid twice."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gevent
import pytest
import requests
from gevent.event import Event
from sqlalchemy import text

from services.errors import ServerBusy
from services.events import Stop, TextDelta, Usage
from services.faults import refusal_of
from services.providers.base import ChatRequest
from tests.databases import MariadbProcess
from tests.faults.waiting import LAST_PIECE, PACED, until
from tests.processes import ServerProcess
from tests.redis_server import RedisProcess, own_redis  # noqa: F401
from tests.scripted import Stage, words
from tests.viewers import Device


@pytest.fixture
def server(own_mariadb: MariadbProcess, tmp_path: Path) -> Iterator[ServerProcess]:
    server = ServerProcess(tmp_path / "data", DATABASE_URL=own_mariadb.url(), BENCHMARK_MODELS="1").start()
    yield server
    server.stop()


@pytest.fixture
def stage(own_mariadb: MariadbProcess, tmp_path: Path) -> Iterator[Stage]:
    stage = Stage(own_mariadb.url(), tmp_path / "data", MAX_RUNNING_TURNS="50")
    yield stage
    stage.audit()
    stage.services.close()


def stored_text(device: Device, server: ServerProcess, started: dict[str, Any]) -> str:
    address = f"{server.address}/v1/conversations/{started['conversation']}/messages"
    answer = requests.get(address, headers={"Authorization": f"Bearer {device.token}"}, timeout=30)
    assert answer.status_code == 200, answer.text
    return str(next(message["text"] for message in answer.json()["messages"] if message["id"] == started["message"]))


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("mysql+pymysql://root@127.0.0.1:{free}/parley", "start it, or correct the address"),
        ("mysql+pymysql://nobody:secret-word@127.0.0.1:{port}/parley", "check user, password"),
        ("mysql+pymysql://root@127.0.0.1:{port}/absent", "that the database exists"),
    ],
)
def test_a_database_that_cannot_be_used_is_told_at_the_start(
    own_mariadb: MariadbProcess, tmp_path: Path, url: str, said: str
) -> None:
    """Exit code 2 and one sentence in each language, with no traceback and no password."""
    address = url.format(port=own_mariadb.port, free=1)
    server = ServerProcess(tmp_path / "data", DATABASE_URL=address)

    with pytest.raises(AssertionError, match="The server ended"):
        server.start()

    assert server.stop() == 2
    log = server.log.read_text()
    assert said in log
    assert "数据库" in log
    assert "Traceback" not in log
    assert "secret-word" not in log


def test_a_start_can_wait_for_the_database(own_mariadb: MariadbProcess, tmp_path: Path) -> None:
    """As after a power cut, when everything starts at once."""
    own_mariadb.stop()
    server = ServerProcess(tmp_path / "data", DATABASE_URL=own_mariadb.url(), DATABASE_WAIT_S="60")
    starting = gevent.spawn(server.start)
    until(lambda: server.log.exists() and "waiting for the database" in server.log.read_text())
    own_mariadb.start()
    starting.get()

    device = Device(server.address).connect()
    assert device.seen(device.ask("c-1", "hi")["turn"]).whole()["status"] == "done"
    assert server.stop() == 0


def test_a_worker_that_dies_meanwhile_is_replaced_when_the_database_is_back(
    own_mariadb: MariadbProcess,
    own_redis: RedisProcess,  # noqa: F811
    tmp_path: Path,
) -> None:
    """The others serve on, and the keeper of the workers does not give up."""
    env = {"DATABASE_URL": own_mariadb.url(), "REDIS_URL": own_redis.url, "WORKERS": "2"}
    server = ServerProcess(tmp_path / "data", **env).start()
    own_mariadb.kill()
    os.kill(server.worker_pids()[0], signal.SIGKILL)
    until(lambda: "another will try" in server.log.read_text())
    assert requests.get(f"{server.address}/healthz", timeout=30).status_code == 200
    own_mariadb.start()
    server.await_workers()

    device = Device(server.address).connect()
    assert device.seen(device.ask("c-1", "hi")["turn"]).whole()["status"] == "done"
    assert server.stop() == 0


@pytest.mark.parametrize("ending", ["stop", "kill"])
def test_an_answer_outlives_a_restart_of_the_database(
    server: ServerProcess, own_mariadb: MariadbProcess, ending: str
) -> None:
    """It is shown while the database is away and stored when it is back; new turns are told to come again."""
    device = Device(server.address).connect()
    started = device.ask("c-1", PACED, model="benchmark", window_ms=0)
    seen = device.seen(started["turn"])
    assert seen.moved.wait(10)
    getattr(own_mariadb, ending)()
    seen.moved.clear()
    assert seen.moved.wait(10), "the stream went on"
    refused = device.call("turn_start", {"client_id": "c-2", "text": "hi"})
    assert (refused["error"]["code"], refused["error"]["retryable"]) == ("server_busy", True)
    gone = requests.get(f"{server.address}/v1/conversations", headers={"Authorization": "Bearer x"}, timeout=30)
    assert (gone.status_code, gone.json()["error"]["code"]) == (503, "server_busy")
    assert requests.get(f"{server.address}/readyz", timeout=30).status_code == 503
    own_mariadb.start()

    end = seen.whole()
    assert end["status"] == "done"
    assert stored_text(device, server, started) == seen.text
    again = device.ask("c-2", "hi")
    assert device.seen(again["turn"]).whole()["status"] == "done"
    assert requests.get(f"{server.address}/readyz", timeout=30).status_code == 200


def test_a_database_that_hangs_delays_no_viewer(server: ServerProcess, own_mariadb: MariadbProcess) -> None:
    """While it takes connections and answers nothing, pieces flow and what needs it is refused; then all is stored."""
    device = Device(server.address).connect()
    started = device.ask("c-1", PACED, model="benchmark", window_ms=0)
    seen = device.seen(started["turn"])
    assert seen.moved.wait(10)
    own_mariadb.pause()
    until(lambda: seen.text.endswith(LAST_PIECE))
    refused = device.call("turn_start", {"client_id": "c-2", "text": "hi"})
    assert refused["error"]["code"] == "server_busy"
    assert requests.get(f"{server.address}/healthz", timeout=30).status_code == 200
    own_mariadb.resume()

    assert seen.whole()["status"] == "done"
    assert stored_text(device, server, started) == seen.text


class Held:
    """A script that says a word, waits until it is let go, and says another."""

    def __init__(self) -> None:
        self.waiting, self.go_on = Event(), Event()

    def __call__(self, request: ChatRequest) -> Iterator[Any]:
        yield TextDelta("one ")
        self.waiting.set()
        assert self.go_on.wait(60)
        yield TextDelta("two")
        yield Stop("stop", Usage(5, 2))


def test_an_answer_nobody_waits_for_any_longer_is_stored_when_the_database_is_back(
    stage: Stage, own_mariadb: MariadbProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It ended as failed and not charged, and is kept so, with its text; the conversation goes on."""
    monkeypatch.setattr("services.turns.settlement.PATIENCE_S", 0.2)
    monkeypatch.setattr("services.turns.settlement.OWED_EVERY_S", 0.1)
    before = stage.tokens()
    stage.provider.script = held = Held()
    following = stage.ask("c-1")
    assert held.waiting.wait(10)
    own_mariadb.kill()
    held.go_on.set()
    until(lambda: following.log.ended is not None)
    ended = following.log.ended
    assert ended is not None
    assert ended.error is not None
    assert (ended.status, ended.error["code"], ended.charged, ended.length) == ("failed", "internal", 0, 7)
    own_mariadb.start()

    until(lambda: stage.tokens() == before)
    stored = stage.services.conversations.messages(stage.user.user_id, following.conversation).items[1]
    assert (stored.text, stored.status, stored.charged) == ("one two", "failed", 0)
    stage.provider.script = words("fine")
    assert stage.finish(stage.ask("c-2", conversation=following.conversation)).ended.status == "done"  # type: ignore[union-attr]


def test_no_connection_is_held_while_a_vendor_speaks(stage: Stage) -> None:
    """Forty answers run, and the pool is whole."""
    stage.provider.script = held = Held()
    following = [stage.ask(f"c-{number}") for number in range(40)]
    until(lambda: all(one.log.offset for one in following))
    assert stage.services.engine.pool.checkedout() == 0  # type: ignore[attr-defined]
    held.go_on.set()
    for one in following:
        ended = stage.finish(one).ended
        assert ended is not None
        assert ended.status == "done"


def test_a_pool_without_a_free_connection_refuses_in_time(stage: Stage) -> None:
    """Forty holders: newcomers are told to come again within two seconds; those who stream do not notice."""
    stage.provider.script = held = Held()
    following = stage.ask("c-1")
    assert held.waiting.wait(10)
    leave = Event()

    def hold() -> None:
        with stage.services.uow.read() as session:
            session.execute(text("SELECT 1"))
            leave.wait(60)

    holders = [gevent.spawn(hold) for _ in range(40)]
    pool: Any = stage.services.engine.pool
    until(lambda: pool.checkedout() == pool.size())

    with gevent.Timeout(2), pytest.raises(Exception) as caught:
        stage.ask("c-2")
    assert isinstance(refusal_of(caught.value, "a start"), ServerBusy)
    held.go_on.set()
    until(lambda: following.log.offset >= 2)
    leave.set()
    gevent.joinall(holders)

    ended = stage.finish(following).ended
    assert ended is not None
    assert ended.status == "done"
    stage.provider.script = words("fine")
    again = stage.finish(stage.ask("c-2")).ended
    assert again is not None
    assert again.status == "done"
