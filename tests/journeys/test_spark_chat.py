"""Programs written for Spark, against a server as people run it: one worker, several, and one that is stopped."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gevent
import pytest
import requests
from gevent.pool import Pool

from services.clock import SystemClock
from tests.compat.spark_client import LIMIT_S, Keys, Script, question, said, signed
from tests.processes import ServerProcess
from tests.redis_server import redis_url  # noqa: F401
from tests.servers import PASSWORD
from tests.viewers import Device

CONNECTS = 12


def someone(server: ServerProcess) -> tuple[str, Keys]:
    """A new user's token and Spark key."""
    made = requests.post(
        f"{server.address}/v1/auth/register", json={"username": "ann", "password": PASSWORD}, timeout=LIMIT_S
    ).json()
    headers = {"Authorization": f"Bearer {made['token']}"}
    keys = requests.post(f"{server.address}/v1/spark/keys", json={"name": "desk"}, headers=headers, timeout=LIMIT_S)
    return made["token"], keys.json()


def open_to(server: ServerProcess, keys: Keys) -> Script:
    return Script(signed(server.address, keys, SystemClock()))


@pytest.fixture
def two(tmp_path: Path, redis_url: str) -> Iterator[ServerProcess]:  # noqa: F811
    prefix = f"t{tmp_path.name}"
    server = ServerProcess(tmp_path / "data", WORKERS="2", REDIS_URL=redis_url, REDIS_PREFIX=prefix).start()
    yield server
    server.stop()


def test_the_demo_model_answers_a_script(server: ServerProcess) -> None:
    _, keys = someone(server)
    frames = open_to(server, keys).ask(question(keys, "你好")).frames()
    assert len(said(frames)) > 20
    assert frames[-1]["payload"]["usage"]["text"]["total_tokens"] > 0


def test_a_stop_ends_a_running_answer_in_good_order(server: ServerProcess) -> None:
    """What came is told, the end is a frame, and whoever only waits is told goodbye."""
    _, keys = someone(server)
    idle, busy = open_to(server, keys), open_to(server, keys).ask(question(keys, "a slow long text please"))
    first = busy.frame()
    assert first["header"]["status"] == 0
    stopping = gevent.spawn(server.stop)
    frames: list[Any] = busy.frames()
    assert frames[-1]["header"]["status"] == 2
    assert frames[-1]["header"]["code"] in (0, 10012)
    assert idle.socket.recv_data()[1][:2] == (1001).to_bytes(2, "big")
    idle.leave()
    assert stopping.get(timeout=2 * LIMIT_S) == 0


def test_any_worker_takes_any_connection(two: ServerProcess) -> None:
    """A key is good at all of them; an answer is watched from a socket at whichever."""
    token, keys = someone(two)

    def ask(number: int) -> str:
        return said(open_to(two, keys).ask(question(keys, f"hello {number}")).frames())

    answers = list(Pool(6).imap_unordered(ask, range(CONNECTS)))
    assert len(answers) == CONNECTS and all(answers)
    client = open_to(two, keys).ask(question(keys, "a slow text please"))
    turn = client.frame()["header"]["sid"]
    devices = [Device(two.address, token=token).connect() for _ in range(4)]
    for device in devices:
        assert device.attach(turn)["status"] == "running"
    devices[0].call("turn_stop", {"turn": turn})
    frames = client.frames()
    assert frames[-1]["header"]["code"] == 0
    for device in devices:
        assert device.seen(turn).whole()["status"] == "stopped"
        device.leave()
