"""A Redis that restarts, is away, hangs, is full, fails over or is a cluster: viewers notice as little as can be."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import gevent
import pytest
import requests

from tests.processes import ServerProcess
from tests.redis_server import RedisCluster, RedisPair, RedisProcess, own_redis  # noqa: F401
from tests.viewers import Device

TURN = "pieces=160 rate=20"
LONG_TURN = "pieces=300 rate=20"


class Stand:
    """Two workers joined by a Redis of their own, and one user's device at each."""

    def __init__(self, folder: Path, database: str, redis_url: str, **env: str) -> None:
        env = {"DATABASE_URL": database, "REDIS_URL": redis_url, "BENCHMARK_MODELS": "1", **env}
        self.servers = [ServerProcess(folder / name, **env) for name in ("one", "other")]

    def __enter__(self) -> Stand:
        for server in self.servers:
            server.start()
        self.here = Device(self.servers[0].address).connect()
        self.there = Device(self.servers[1].address, token=self.here.token).connect()
        return self

    def __exit__(self, *_: object) -> None:
        for server in self.servers:
            server.stop()

    def begin(self, client_id: str, text: str = TURN) -> str:
        """A turn at one worker that the other one follows."""
        turn: str = self.here.ask(client_id, text, model="benchmark")["turn"]
        assert self.there.attach(turn)["status"] == "running"
        until(lambda: self.there.seen(turn).text and self.here.seen(turn).text)
        return turn

    def whole(self, turn: str) -> dict[str, Any]:
        """Both devices have all of it, once, in order, and the same ending."""
        end = self.here.seen(turn).whole()
        assert self.there.seen(turn).whole() == end
        assert self.there.seen(turn).text == self.here.seen(turn).text
        return end

    def ready(self) -> bool:
        return requests.get(f"{self.servers[0].address}/readyz", timeout=10).status_code == 200


def until(true: Callable[[], Any]) -> None:
    with gevent.Timeout(30, AssertionError("It never became true.")):
        while not true():
            gevent.sleep(0.02)


@pytest.fixture
def stand(tmp_path: Path, migrated_mariadb_url: str, own_redis: RedisProcess) -> Iterator[Stand]:  # noqa: F811
    with Stand(tmp_path, migrated_mariadb_url, own_redis.url) as stand:
        yield stand


def test_a_restart_in_mid_stream(stand: Stand, own_redis: RedisProcess) -> None:  # noqa: F811
    """It comes back empty: the worker that runs the turn writes it anew, and nothing is lost or repeated."""
    turn = stand.begin("c-1")
    own_redis.kill()
    own_redis.start()
    end = stand.whole(turn)
    assert (end["status"], stand.here.seen(turn).epoch, stand.there.seen(turn).epoch) == ("done", 1, 1)


def test_an_outage(stand: Stand, own_redis: RedisProcess) -> None:  # noqa: F811
    """Viewers beside the runner notice nothing, new turns begin, readiness says so; the others get it all later."""
    turn = stand.begin("c-1")
    own_redis.stop()
    until(lambda: not stand.ready())
    new = stand.here.ask("c-2", "pieces=20 rate=20", model="benchmark")["turn"]
    assert stand.here.seen(new).whole()["status"] == "done"
    assert stand.here.seen(turn).whole()["status"] == "done"
    assert not stand.there.seen(turn).ended.is_set()
    own_redis.start()
    stand.whole(turn)
    until(stand.ready)
    stand.whole(stand.begin("c-3", "pieces=40 rate=40"))


def test_a_hang(stand: Stand, own_redis: RedisProcess) -> None:  # noqa: F811
    """It takes connections and answers nothing for longer than a lease: nobody here waits, nobody claims the turn."""
    turn = stand.begin("c-1", LONG_TURN)
    short = stand.begin("c-2", "pieces=60 rate=20")
    own_redis.pause()
    assert stand.here.seen(short).whole()["status"] == "done"
    new = stand.here.ask("c-3", "pieces=20 rate=20", model="benchmark")["turn"]
    assert stand.here.seen(new).whole()["status"] == "done"
    text = len(stand.here.seen(turn).text)
    until(lambda: len(stand.here.seen(turn).text) > text + 200)
    own_redis.resume()
    assert stand.whole(short)["status"] == "done"
    assert stand.whole(turn)["status"] == "done"
    assert stand.there.seen(turn).epoch == 1


def test_a_full_one(stand: Stand, own_redis: RedisProcess) -> None:  # noqa: F811
    """What does not fit waits in the worker; when there is room again the others get it."""
    turn = stand.begin("c-1")
    own_redis.ask("CONFIG", "SET", "maxmemory", "1")
    until(lambda: not stand.ready())
    assert stand.here.seen(turn).whole()["status"] == "done"
    own_redis.ask("CONFIG", "SET", "maxmemory", "0")
    stand.whole(turn)
    until(stand.ready)


def test_one_that_becomes_a_replica(stand: Stand, own_redis: RedisProcess) -> None:  # noqa: F811
    """`READONLY` is waited for like an outage."""
    turn = stand.begin("c-1")
    own_redis.ask("REPLICAOF", "127.0.0.1", "1")
    until(lambda: not stand.ready())
    assert stand.here.seen(turn).whole()["status"] == "done"
    own_redis.ask("REPLICAOF", "NO", "ONE")
    stand.whole(turn)


def test_a_fail_over(tmp_path: Path, migrated_mariadb_url: str) -> None:
    """Sentinel makes the replica the primary in mid-stream: what it had not heard of is written again."""
    with ExitStack() as stack:
        pair = stack.enter_context(RedisPair(tmp_path / "pair"))
        stand = stack.enter_context(Stand(tmp_path, migrated_mariadb_url, pair.url))
        turn = stand.begin("c-1", LONG_TURN)
        replica = pair.replica()
        pair.primary().kill()
        pair.await_primary(replica)
        end = stand.whole(turn)
        assert (end["status"], stand.there.seen(turn).epoch) == ("done", 1)


def test_a_cluster(tmp_path: Path, migrated_mariadb_url: str) -> None:
    """The keys of a turn stay together: turns are followed, stopped and taken over as with one server."""
    with ExitStack() as stack:
        cluster = stack.enter_context(RedisCluster(tmp_path / "cluster"))
        stand = stack.enter_context(Stand(tmp_path, migrated_mariadb_url, cluster.url, LEASE_S="2"))
        turns = [stand.begin(f"c-{number}", "pieces=40 rate=20") for number in range(4)]
        for turn in turns:
            assert stand.whole(turn)["status"] == "done"
        stopped = stand.begin("c-stop", LONG_TURN)
        assert stand.there.call("turn_stop", {"turn": stopped})["status"] == "stopped"
        left = stand.begin("c-left", "pieces=60 rate=20")
        stand.servers[0].kill()
        assert stand.there.seen(left).whole()["status"] == "done"
        assert stand.there.seen(left).epoch == 2
