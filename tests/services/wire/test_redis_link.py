"""The way to Redis: every form of its URL, its limits, a pair that fails over, a cluster that loses a node."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gevent
import pytest
import redis

from config import ConfigError
from services.wire.redis_link import RedisLink, Script
from tests.owned import free_port, program
from tests.redis_server import SERVICE, RedisCluster, RedisPair, RedisProcess, own_redis  # noqa: F401

COUNT = Script("return redis.call('INCRBY', KEYS[1], ARGV[1])")


@pytest.fixture
def link(own_redis: RedisProcess) -> Iterator[RedisLink]:  # noqa: F811
    link = RedisLink(own_redis.url, timeout_s=0.3)
    yield link
    link.close()


def counted(link: RedisLink, name: str = "count", by: int = 1) -> int:
    return int(link.run(COUNT, [link.key(link.partition(name), name)], [by]))


def append(link: RedisLink, key: str, text: str) -> str:
    return str(link.ask(lambda client: client.xadd(key, {"text": text})).decode())


def soon(works: Callable[[], Any]) -> Any:
    """Again and again until Redis does it."""
    with gevent.Timeout(60, AssertionError("Redis did not come back.")):
        while True:
            try:
                return works()
            except redis.RedisError:
                gevent.sleep(0.1)


@pytest.mark.parametrize(
    "address",
    [
        "http://127.0.0.1:6379",
        "redis://",
        "redis://127.0.0.1:port/0",
        "unix://",
        "redis+sentinel://127.0.0.1:26379",
        "redis+sentinel://127.0.0.1:26379/one/parley",
        "redis+sentinel:///0/parley",
        "redis+cluster://",
        "127.0.0.1:6379",
        "",
    ],
)
def test_an_address_that_is_none_is_refused_at_once(address: str) -> None:
    """With the variable's name, before anything is connected to."""
    with pytest.raises(ConfigError, match=r"^REDIS_URL "):
        RedisLink(address)


@pytest.mark.parametrize(
    "address",
    [
        "redis://127.0.0.1",
        "rediss://user:p%40ss@redis.example:6380/3",
        "unix:///run/redis.sock?db=2",
        "redis+sentinel://:secret@10.0.0.1:26379,10.0.0.2,[::1]:26380/parley",
        "redis+sentinel://10.0.0.1:26379/2/parley",
        "redis+cluster://user:secret@10.0.0.1:7000,[2001:db8::1]:7001,redis.example",
    ],
)
def test_making_a_link_connects_to_nothing(address: str) -> None:
    """So that a server starts while Redis is still away; the password is in no text of the link."""
    link = RedisLink(address)
    assert link.up
    assert "secret" not in repr(link)
    link.close()


def test_a_password_a_user_and_a_socket_file(tmp_path: Path) -> None:
    """Percent signs stand for what a URL cannot hold."""
    file = tmp_path / "redis.sock"
    with RedisProcess(tmp_path / "redis", f"unixsocket {file}") as server:
        server.ask("ACL", "SETUSER", "chat", "on", ">p@ss:w/rd", "~*", "+@all")
        for address in (
            f"redis://chat:p%40ss%3Aw%2Frd@127.0.0.1:{server.port}/1",
            f"unix://chat:p%40ss%3Aw%2Frd@{file}?db=1",
        ):
            link = RedisLink(address)
            counted(link)
            link.close()
        assert server.ask("INFO", "keyspace")["db1"]["keys"] == 1
        wrong = RedisLink(f"redis://chat:guess@127.0.0.1:{server.port}/1")
        with pytest.raises(redis.AuthenticationError):
            counted(wrong)
        wrong.close()


def test_over_tls(tmp_path: Path) -> None:
    """The server's name must be in its certificate, which the URL's parameters say whom to trust for."""
    subprocess.run(
        [program("openssl", "openssl"), "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
         "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-keyout", "key.pem", "-out", "cert.pem"],
        cwd=tmp_path, check=True, capture_output=True,
    )  # fmt: skip
    port, file = free_port(), tmp_path / "cert.pem"
    lines = (f"tls-port {port}", f"tls-cert-file {file}", f"tls-key-file {tmp_path / 'key.pem'}", "tls-auth-clients no")
    with RedisProcess(tmp_path / "redis", *lines):
        link = RedisLink(f"rediss://localhost:{port}/0?ssl_ca_certs={file}")
        assert counted(link) == 1
        link.close()
        stranger = RedisLink(f"rediss://localhost:{port}/0")
        with pytest.raises(redis.ConnectionError):
            counted(stranger)
        stranger.close()


def test_a_restart_is_not_noticed_by_who_asks_next(link: RedisLink, own_redis: RedisProcess) -> None:  # noqa: F811
    """Neither the closed connections nor the script, which the new server does not know, are anybody's concern."""
    assert counted(link) == 1
    own_redis.restart()
    assert counted(link) == 1
    assert link.up


def test_a_hanging_server_costs_the_limit_and_no_more(link: RedisLink, own_redis: RedisProcess) -> None:  # noqa: F811
    """Nothing is done twice after a limit ran out, and what comes late disturbs no later answer."""
    counted(link)
    own_redis.pause()
    with pytest.raises(redis.TimeoutError):
        counted(link, by=10)
    assert not link.up
    with pytest.raises(redis.RedisError):
        link.follow({link.key(0, "log"): "0-0"}, 10)
    own_redis.resume()
    assert soon(lambda: counted(link)) == 12
    assert link.up


def test_one_that_is_away_says_so(link: RedisLink, own_redis: RedisProcess) -> None:  # noqa: F811
    own_redis.kill()
    with pytest.raises(redis.ConnectionError):
        counted(link)
    assert not link.up
    own_redis.start()
    assert counted(link) == 1
    assert link.up


def test_following_wakes_for_what_is_written(link: RedisLink) -> None:
    """Many streams in one read; those without news are not among what it gives."""
    first, second = link.key(0, "one"), link.key(0, "two")
    assert link.follow({first: "0-0", second: "0-0"}, 10) == []
    reading = gevent.spawn(link.follow, {first: "0-0", second: "0-0"}, 10)
    gevent.sleep(0)
    at = append(link, second, "春")
    assert reading.get(timeout=20) == [(second, [(at, [b"text", "春".encode()])])]
    ids = [append(link, first, str(number)) for number in range(5)]
    found = dict(link.follow({first: ids[1], second: at}, 2))
    assert [entry for entry, _ in found[first]] == ids[2:4]
    assert second not in found


def test_a_pair_that_fails_over(tmp_path: Path) -> None:
    """The link finds the new primary by itself, writes to it, and reads on."""
    with RedisPair(tmp_path) as pair:
        link = RedisLink(pair.url, timeout_s=0.3)
        old, new = pair.primary(), pair.replica()
        counted(link)
        key = link.key(0, "log")
        first = append(link, key, "before")
        assert link.ask(lambda client: client.wait(1, 5_000)) == 1
        old.kill()
        pair.await_primary(new)
        assert soon(lambda: counted(link)) == 2
        second = soon(lambda: append(link, key, "after"))
        assert [entry for entry, _ in soon(lambda: link.follow({key: first}, 10))[0][1]] == [second]
        link.close()


def test_a_primary_that_became_a_replica_is_left(tmp_path: Path) -> None:
    """It answers, but with READONLY: the link is not up, and asks the sentinels again."""
    with RedisPair(tmp_path) as pair:
        link = RedisLink(pair.url, timeout_s=0.3)
        new = pair.replica()
        counted(link)
        with redis.Redis(port=pair.sentinels[0].port) as sentinel:
            sentinel.sentinel_failover(SERVICE)
        pair.await_primary(new)
        assert soon(lambda: counted(link)) >= 1
        assert link.up
        link.close()


def test_a_cluster(tmp_path: Path) -> None:
    """Keys of one partition are together, so that one script may touch them; one node may be replaced."""
    with RedisCluster(tmp_path, replicas=1) as cluster:
        link = RedisLink(cluster.url, timeout_s=0.5)
        names = [f"t_{number}" for number in range(64)]
        assert len({link.partition(name) for name in names}) > 8
        both = Script("redis.call('SET', KEYS[1], 1) return redis.call('INCR', KEYS[2])")
        for name in names:
            keys = [link.key(link.partition(name), name, part) for part in ("log", "facts")]
            assert link.run(both, keys, []) == 1
        key = link.key(3, "log")
        first = append(link, key, "before")
        reading = gevent.spawn(link.follow, {key: first, link.key(3, "other"): "0-0"}, 10)
        gevent.sleep(0)
        second = append(link, key, "more")
        assert [entry for entry, _ in reading.get(timeout=20)[0][1]] == [second]

        node = cluster.node_of(key)
        node.ask("WAIT", 1, 5_000)
        node.kill()
        third = soon(lambda: append(link, key, "after"))
        found = soon(lambda: link.follow({key: second}, 10))
        assert [entry for entry, _ in found[0][1]] == [third]
        link.close()
