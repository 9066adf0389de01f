"""Four workers on one port, with nothing in front that would bring a client back to its own."""

from __future__ import annotations

import functools
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gevent
import pytest
import socketio
from gevent.event import Event
from gevent.pool import Pool
from prometheus_client.parser import text_string_to_metric_families

import config
from tests.node import node
from tests.owned import free_port
from tests.processes import ROOT, ServerProcess
from tests.redis_server import redis_url  # noqa: F401
from tests.sockets.serving.conftest import wait_until
from tests.viewers import Device

TRANSPORTS = ("websocket", "polling", "polling,websocket")
CONNECTS = 300


@pytest.fixture(scope="module")
def four(tmp_path_factory: pytest.TempPathFactory, redis_url: str) -> Iterator[ServerProcess]:  # noqa: F811
    server = several(tmp_path_factory.mktemp("four") / "data", redis_url, workers=4).start()
    yield server
    server.stop()


@pytest.fixture
def two(tmp_path: Path, redis_url: str) -> Iterator[ServerProcess]:  # noqa: F811
    """For tests that break something."""
    server = several(tmp_path / "data", redis_url, workers=2).start()
    yield server
    server.kill()


def several(data_dir: Path, redis: str, *, workers: int) -> ServerProcess:
    return ServerProcess(
        data_dir,
        WORKERS=str(workers),
        REDIS_URL=redis,
        REDIS_PREFIX=f"t{data_dir.parent.name}",
        RATE_LIMIT_ENABLED="false",
        LOG_LEVEL="debug",
        DEBUG="true",
    )


def ask(server: ServerProcess, method: str, path: str, body: bytes | None = None) -> tuple[int, str]:
    """One request on a connection of its own, so that any worker may get it."""
    connection = http.client.HTTPConnection(server.address.partition("//")[2], timeout=30)
    try:
        connection.request(method, path, body)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


def connect_by_polling(server: ServerProcess, token: str, other: ServerProcess | None = None) -> tuple[str, str]:
    """Open a session, join and leave, from there on by way of `other`; its worker, and what went wrong."""
    poll = "/socket.io/?EIO=4&transport=polling"
    status, opening = ask(server, "GET", poll)
    if status != 200:
        return "", opening
    sid = json.loads(opening[1:])["sid"]
    join = b'40/text,{"token":"' + token.encode() + b'"}' if token else b"40/text,"
    joined = ask(other or server, "POST", f"{poll}&sid={sid}", join)
    answer = ask(other or server, "GET", f"{poll}&sid={sid}")
    gone = ask(other or server, "POST", f"{poll}&sid={sid}", b"1")
    fault = "" if (joined, gone) == ((200, "ok"),) * 2 and "40/text,{" in answer[1] else f"{joined} {answer} {gone}"
    return sid.partition(".")[0], fault


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_stock_clients_need_no_affinity(four: ServerProcess, transport: str) -> None:
    """As python-socketio's, eight at a time, and socket.io's under Node: each asks, follows and checks an answer."""

    def talk(number: int) -> None:
        device = Device(four.address, transport=transport).connect()
        assert device.seen(device.ask(f"c-{number}", "写一张表格 table")["turn"]).whole()["status"] == "done"
        device.leave()

    for talking in [gevent.spawn(talk, number) for number in range(8)]:
        talking.get(timeout=60)
    command = [node(), "tests/journeys/follow.mjs", four.address, transport, "写一张表格 table"]
    followed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert followed.returncode == 0, followed.stderr
    assert json.loads(followed.stdout)["verified"]


def test_no_connect_by_polling_meets_an_unknown_session(four: ServerProcess) -> None:
    """Every request goes over a connection of its own, and three in four reach another worker than their session's."""
    device = Device(four.address).connect()
    found = Pool(20).map(lambda _: connect_by_polling(four, str(device.token)), range(CONNECTS))
    device.leave()
    assert [fault for _, fault in found if fault] == []
    spread = Counter(worker for worker, _ in found)
    assert len(spread) == 4
    assert min(spread.values()) > CONNECTS / 40


def test_machines_that_know_each_others_address_need_no_affinity_either(tmp_path: Path, redis_url: str) -> None:  # noqa: F811
    """One with two workers and one with one; every session is asked for at the other machine."""
    pair = [several(tmp_path / name, redis_url, workers=workers) for name, workers in (("one", 2), ("two", 1))]
    for server in pair:
        port = str(free_port())
        server.env.update(PORT=port, MACHINE_ADDRESS=f"127.0.0.1:{port}")
        server.start()

    def fault_between(ends: list[ServerProcess]) -> str:
        return connect_by_polling(ends[0], "", ends[1])[1]

    for ends in (pair, pair[::-1]):
        # An address is told when a server starts, and asked for anew a few seconds after it was not known.
        wait_until(functools.partial(lambda ends: not fault_between(ends), ends), 20)
        assert set(Pool(8).map(fault_between, [ends] * 40)) == {""}
    assert [server.stop() for server in pair] == [0, 0]


def test_a_session_id_is_never_logged(four: ServerProcess) -> None:
    """Not even where everything is, and nothing goes well."""
    poll = "/socket.io/?EIO=4&transport=polling"
    sid = json.loads(ask(four, "GET", poll)[1][1:])["sid"]
    secret = sid.partition(".")[2]
    for method, path, body in (
        ("POST", f"{poll}&sid={sid}", b"40/text,"),
        ("GET", f"{poll}&sid={sid}", None),
        ("POST", f"{poll}&sid={sid}", b'42/text,1["turn_start",{}]'),
        ("GET", f"{poll}&sid={sid}&transport=carrier-pigeon", None),
        ("GET", f"/v1/turns/x?sid={sid}", None),
        ("POST", f"{poll}&sid={sid}", b"nonsense"),
        ("GET", f"{poll}&sid={sid}", None),
    ):
        _, answer = ask(four, method, path, body)
        assert secret not in answer
    assert '"worker":"' + sid.partition(".")[0] in four.log.read_text()
    assert secret not in four.log.read_text()
    assert secret not in ask(four, "GET", "/metrics")[1]


def test_whichever_worker_is_asked_tells_the_metrics_of_all(four: ServerProcess) -> None:
    device = Device(four.address).connect()
    for _ in range(8):
        told = [s for f in text_string_to_metric_families(ask(four, "GET", "/metrics")[1]) for s in f.samples]
        connections = {s.labels["worker"]: s.value for s in told if s.name == "parley_connections"}
        assert len(connections) == 4
        assert sum(connections.values()) >= 1
    device.leave()


class Steady:
    """A stock client left to itself: what it does when its connection ends is up to it."""

    def __init__(self, server: ServerProcess, transport: str) -> None:
        self._client: Any = socketio.Client(reconnection_delay=0.1, reconnection_delay_max=1)
        self._client.on("welcome", self._welcomed, namespace="/text")
        self.welcomes = 0
        self.welcomed = Event()
        self._client.connect(server.address, namespaces=["/text"], transports=transport.split(","))
        assert self.welcomed.wait(20)

    def _welcomed(self, _: dict[str, Any]) -> None:
        self.welcomes += 1
        self.welcomed.set()

    def works(self) -> bool:
        return bool(self._client.call("sync", namespace="/text", timeout=20)["ok"])

    def leave(self) -> None:
        self._client.shutdown()


def test_a_killed_worker_comes_back_and_its_clients_with_it(two: ServerProcess) -> None:
    clients = [Steady(two, transport) for transport in TRANSPORTS * 3]
    doomed = two.worker_pids()[0]
    two.kill_worker(doomed)
    wait_until(lambda: sum(client.welcomes for client in clients) > len(clients), 30)
    wait_until(lambda: all(client._client.connected for client in clients), 30)
    assert all(client.works() for client in clients)
    assert doomed not in two.worker_pids()
    assert two.stop() == 0
    for client in clients:
        client.leave()


def test_a_renewal_under_load_refuses_nobody_and_brings_every_client_over(two: ServerProcess) -> None:
    """New workers serve before old ones go: every request meanwhile is answered; stock clients return by themselves."""
    clients = [Steady(two, transport) for transport in TRANSPORTS * 3]
    answers: Counter[int] = Counter()
    done = Event()

    def load() -> None:
        while not done.is_set():
            answers[ask(two, "GET", "/healthz")[0]] += 1

    loading = [gevent.spawn(load) for _ in range(2)]
    two.renew()
    done.set()
    for one in loading:
        one.get(timeout=30)
    assert set(answers) == {200}, answers
    wait_until(lambda: all(client.welcomes >= 2 for client in clients), 30)
    assert all(client.works() for client in clients)
    assert two.stop() == 0
    for client in clients:
        client.leave()


def test_workers_without_their_keeper_end_by_themselves(two: ServerProcess) -> None:
    workers = two.worker_pids()
    os.kill(two.pid, signal.SIGKILL)
    wait_until(lambda: not any(alive(pid) for pid in workers), 20)


def alive(pid: int) -> bool:
    try:
        return "State:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return False


def test_a_setting_that_cannot_be_used_ends_them_all_with_one_word(tmp_path: Path, redis_url: str) -> None:  # noqa: F811
    server = several(tmp_path / "data", redis_url, workers=3)
    server.env["OPENAI_BASE_URL"] = "nowhere"
    with pytest.raises(AssertionError, match="The server ended"):
        server.start()
    assert server.stop() != 0
    said = [line for line in server.log.read_text().splitlines() if not line.startswith("{")]
    assert said == ["parley: OPENAI_BASE_URL must be an http:// or https:// address."]


def test_more_than_one_worker_without_redis_is_refused() -> None:
    with pytest.raises(config.ConfigError, match=r"^WORKERS is 2, .* set REDIS_URL") as refused:
        config.load({"WORKERS": "2"})
    assert "REDIS_URL" in refused.value.chinese
    assert config.load({"WORKERS": "2", "REDIS_HOST": "127.0.0.1"}).server.workers == 2


def test_older_backends_on_ports_of_their_own_are_served_by_all(tmp_path: Path, redis_url: str) -> None:  # noqa: F811
    server = several(tmp_path / "data", redis_url, workers=2)
    port = free_port()
    server.env["COMPAT"] = f"none,bailian-proxy@:{port}"
    server.start()
    there = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    there.request("GET", "/api/models")
    assert there.getresponse().status == 200
    there.close()
    assert ask(server, "GET", "/api/models")[0] == 404
    assert server.stop() == 0


@pytest.mark.parametrize("workers", [1, 2])
def test_a_socket_that_systemd_holds_is_served(tmp_path: Path, redis_url: str, workers: int) -> None:  # noqa: F811
    """Its connections wait while no server runs."""
    server = several(tmp_path / "data", redis_url, workers=workers)
    with socket.create_server(("127.0.0.1", 0)) as held:
        port = held.getsockname()[1]
        waiting = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        waiting.request("GET", "/healthz")
        script = f'exec 3<&{held.fileno()}; LISTEN_PID=$$ LISTEN_FDS=1 exec "$0" server.py serve'
        server.start("bash", "-c", script, sys.executable, pass_fds=[held.fileno()])
        assert waiting.getresponse().status == 200
        assert server.address.endswith(f":{port}")
        assert server.stop() == 0
        waiting.close()
