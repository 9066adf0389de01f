"""Several workers as one server: a turn is followed, stopped, lost and gone on with across them."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gevent
import pytest
import redis
import sqlalchemy

from services.ids import new_id
from tests.processes import ServerProcess
from tests.redis_server import redis_url  # noqa: F401
from tests.viewers import Device, Seen

SLOW = "a slow table please"
LONG = "some markdown please"
"""Eight seconds of answer."""


@pytest.fixture
def servers(tmp_path: Path, migrated_mariadb_url: str, redis_url: str) -> Iterator[list[ServerProcess]]:  # noqa: F811
    env = {
        "DATABASE_URL": migrated_mariadb_url,
        "REDIS_URL": redis_url,
        "REDIS_PREFIX": new_id("x"),
        "LEASE_S": "2",
        "BENCHMARK_MODELS": "1",
    }
    servers = [ServerProcess(tmp_path / name, **env).start() for name in ("one", "other")]
    yield servers
    for server in servers:
        server.stop()


def two_devices(servers: list[ServerProcess]) -> tuple[Device, Device]:
    """One user's devices, each on a server of its own."""
    here = Device(servers[0].address).connect()
    return here, Device(servers[1].address, token=here.token).connect()


def until(true: Callable[[], Any]) -> None:
    with gevent.Timeout(20, AssertionError("It never became true.")):
        while not true():
            gevent.sleep(0.02)


def rows(url: str, turn: str) -> Any:
    engine = sqlalchemy.create_engine(url)
    with engine.connect() as connection:
        found = connection.execute(sqlalchemy.text("SELECT * FROM turn WHERE id = :id"), {"id": turn}).one()
    engine.dispose()
    return found


def test_a_turn_is_followed_live_on_the_other_worker(servers: list[ServerProcess]) -> None:
    """`sync` knows it, `turn_attach` follows it while it is written, and both see the same ending."""
    here, there = two_devices(servers)
    turn = here.ask("c-1", SLOW)["turn"]
    until(lambda: here.seen(turn).text)
    assert [running["turn"] for running in there.call("sync")["running"]] == [turn]
    assert there.attach(turn)["status"] == "running"
    until(lambda: there.seen(turn).text)
    assert not here.seen(turn).ended.is_set()
    assert there.call("turn_start", {"client_id": "c-1", "text": SLOW})["turn"] == turn
    here.call("turn_stop", {"turn": turn})
    assert here.seen(turn).whole() == there.seen(turn).whole()


def test_a_stop_from_the_other_worker_ends_it_there(servers: list[ServerProcess]) -> None:
    here, there = two_devices(servers)
    turn = here.ask("c-1", SLOW)["turn"]
    until(lambda: here.seen(turn).text)
    stopped = there.call("turn_stop", {"client_id": "c-1"})
    assert (stopped["ok"], stopped["status"]) == (True, "stopped")
    assert here.seen(turn).whole()["length"] == stopped["length"]


@pytest.mark.parametrize("continues", [True, False])
def test_a_killed_workers_turn_goes_on_at_another(
    servers: list[ServerProcess], migrated_mariadb_url: str, continues: bool
) -> None:
    """From its text where the model can, else from the start; one ending, settled once, whole for every viewer."""
    here, there = two_devices(servers)
    fields = {} if continues else {"model": "benchmark"}
    turn = here.ask("c-1", LONG if continues else "pieces=60 rate=20", **fields)["turn"]
    there.attach(turn)
    until(lambda: len(there.seen(turn).text) > 5)
    shown = there.seen(turn).text
    servers[0].kill()
    end = there.seen(turn).whole()
    assert end["status"] == "done"
    assert there.seen(turn).epoch == 2
    assert there.seen(turn).text.startswith(shown)
    row = rows(migrated_mariadb_url, turn)
    assert (row.status, row.fence, row.epoch, row.sha256) == ("done", 2, 2, end["sha256"])
    late = Device(servers[1].address, token=here.token).connect()
    late.turns[turn] = Seen()
    late.turns[turn].last, late.turns[turn].text = here.seen(turn).last, here.seen(turn).text
    late.attach(turn)
    assert late.seen(turn).whole() == end


def test_a_worker_that_stops_hands_its_turns_over(servers: list[ServerProcess]) -> None:
    """SIGTERM: no answer is lost, and the other worker goes on with it at once."""
    here, there = two_devices(servers)
    turn = here.ask("c-1", LONG)["turn"]
    there.attach(turn)
    until(lambda: there.seen(turn).text)
    assert servers[0].stop() == 0
    assert there.seen(turn).whole()["status"] == "done"
    assert there.seen(turn).epoch == 2


@pytest.mark.parametrize("forgotten", [False, True])
def test_a_restarted_worker_goes_on_with_what_it_left(
    servers: list[ServerProcess],
    redis_url: str,  # noqa: F811
    forgotten: bool,
) -> None:
    """Alone, too: what the log in Redis has is not lost; where Redis has forgotten all, what was saved is not."""
    here = Device(servers[0].address).connect()
    servers[1].stop()
    turn = here.ask("c-1", LONG)["turn"]
    until(lambda: len(here.seen(turn).text) > 5)
    servers[0].kill()
    if forgotten:
        with redis.Redis.from_url(redis_url) as client:
            client.delete(*client.keys(f"{servers[0].env['REDIS_PREFIX']}:*"))
    servers[0].start()
    again = Device(servers[0].address, token=here.token).connect()
    again.turns[turn] = here.turns[turn]
    again.attach(turn)
    assert again.seen(turn).whole()["status"] == "done"
    assert again.seen(turn).epoch == (3 if forgotten else 2)


def test_a_worker_that_was_paused_finds_its_turn_gone(servers: list[ServerProcess], migrated_mariadb_url: str) -> None:
    """What it still writes is refused, it does not settle, and its own viewers follow the one that went on."""
    here, there = two_devices(servers)
    turn = here.ask("c-1", LONG)["turn"]
    there.attach(turn)
    until(lambda: len(there.seen(turn).text) > 5)
    os.kill(servers[0].pid, signal.SIGSTOP)
    try:
        end = there.seen(turn).whole()
    finally:
        os.kill(servers[0].pid, signal.SIGCONT)
    assert (end["status"], end["epoch"]) == ("done", 2)
    assert here.seen(turn).whole() == end
    assert here.seen(turn).text == there.seen(turn).text
    row = rows(migrated_mariadb_url, turn)
    assert (row.status, row.fence, row.sha256, row.charged) == ("done", 2, end["sha256"], end["charged"])
