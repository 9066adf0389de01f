"""A real Redis for tests: one for the session, or one, a watched pair or a cluster that a test owns and breaks."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from tests.owned import OwnedProcess, free_port, program, wait_until

SERVICE = "parley"
"""What the sentinels call the pair."""


@pytest.fixture(scope="session")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The Redis that `PARLEY_TEST_REDIS_URL` names, or one of this session's own."""
    given = os.environ.get("PARLEY_TEST_REDIS_URL")
    if given:
        yield given
        return
    with RedisProcess(tmp_path_factory.mktemp("redis")) as server:
        yield server.url


@pytest.fixture
def own_redis(tmp_path: Path) -> Iterator[RedisProcess]:
    """A running Redis that this test may break; it keeps nothing over a restart."""
    with RedisProcess(tmp_path / "redis") as server:
        yield server


class RedisProcess(OwnedProcess):
    """One Redis. `arguments` are lines of redis.conf: `RedisProcess(folder, "maxmemory 4mb", "appendonly yes")`."""

    def __init__(self, folder: Path, *arguments: str, port: int | None = None) -> None:
        super().__init__(folder, port)
        self.arguments = arguments

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def command(self) -> Sequence[str]:
        lines = ("bind 127.0.0.1", f"port {self.port}", f"dir {self.folder}", 'save ""', *self.arguments)
        return [program("redis-server", "redis-server"), *(word for line in lines for word in _words(line))]

    def answers(self) -> bool:
        try:
            return bool(self.ask("PING"))
        except (redis.ConnectionError, redis.TimeoutError):
            return False

    def ask(self, *words: Any) -> Any:
        """One command on a connection of its own: `ask("CONFIG", "SET", "maxmemory", "1mb")`. INFO comes as a dict."""
        with _client(self.port) as client:
            return client.execute_command(*words)


class SentinelProcess(OwnedProcess):
    """One sentinel, which needs a file it may write its findings to."""

    def __init__(self, folder: Path, primary: RedisProcess, *, quorum: int) -> None:
        super().__init__(folder)
        self._file = folder / "sentinel.conf"
        lines = (
            "bind 127.0.0.1", f"port {self.port}", f"dir {folder}",
            f"sentinel monitor {SERVICE} 127.0.0.1 {primary.port} {quorum}",
            f"sentinel down-after-milliseconds {SERVICE} 1000",
            f"sentinel failover-timeout {SERVICE} 5000",
        )  # fmt: skip
        self._file.write_text("\n".join(lines) + "\n")

    def command(self) -> Sequence[str]:
        return [program("redis-server", "redis-server"), str(self._file), "--sentinel"]

    def answers(self) -> bool:
        try:
            self.master()
            return True
        except (redis.ConnectionError, redis.TimeoutError):
            return False

    def master(self) -> dict[str, str]:
        """What it knows of the primary: `port`, `num-slaves`, `num-other-sentinels`, `flags`."""
        with _client(self.port) as client:
            return {str(key): str(value) for key, value in dict(client.sentinel_master(SERVICE)).items()}


class RedisPair:
    """A primary, its replica and three sentinels: killing `primary()` makes the other one primary in a few seconds."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        first = RedisProcess(folder / "first", *arguments)
        second = RedisProcess(folder / "second", *arguments, f"replicaof 127.0.0.1 {first.port}")
        self.servers = (first, second)
        self.sentinels = tuple(SentinelProcess(folder / f"sentinel-{n}", first, quorum=2) for n in range(3))

    @property
    def url(self) -> str:
        return "redis+sentinel://" + ",".join(f"127.0.0.1:{one.port}" for one in self.sentinels) + f"/0/{SERVICE}"

    def primary(self) -> RedisProcess:
        """Which one the sentinels call the primary now."""
        port = int(next(one for one in self.sentinels if one.answers()).master()["port"])
        return next(server for server in self.servers if server.port == port)

    def replica(self) -> RedisProcess:
        primary = self.primary()
        return next(server for server in self.servers if server is not primary)

    def await_primary(self, server: RedisProcess) -> None:
        """Wait until the sentinels say that `server` is the primary, and it agrees."""
        wait_until(
            lambda: self.primary() is server and server.ask("ROLE")[0] == "master",
            lambda: f"Port {server.port} did not become the primary.",
        )

    def __enter__(self) -> Self:
        for server in (*self.servers, *self.sentinels):
            server.start()
        wait_until(
            lambda: self.servers[1].ask("ROLE")[3] == "connected" and all(map(_knows_all, self.sentinels)),
            lambda: "The sentinels did not find each other and the replica.",
        )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for server in (*self.sentinels, *self.servers):
            server.__exit__(kind, error, trace)


class RedisCluster:
    """Three nodes that share the slots; with `replicas` each has so many, and a killed one is replaced."""

    def __init__(self, folder: Path, *arguments: str, replicas: int = 0) -> None:
        self._replicas = replicas
        lines = ("cluster-enabled yes", "cluster-node-timeout 1000", *arguments)
        # A node's bus listens 10 000 ports above it.
        self.nodes = tuple(
            RedisProcess(folder / f"node-{number}", *lines, port=free_port(highest=55000))
            for number in range(3 * (1 + replicas))
        )

    @property
    def url(self) -> str:
        return "redis+cluster://" + ",".join(f"127.0.0.1:{node.port}" for node in self.nodes)

    def node_of(self, key: str) -> RedisProcess:
        """The node that serves the key's slot now."""
        asked = next(node for node in self.nodes if node.answers())
        slot = int(asked.ask("CLUSTER", "KEYSLOT", key))
        for node in self.nodes:
            if node.answers() and any(
                first <= slot <= last
                for line in str(node.ask("CLUSTER", "NODES")).splitlines() if "myself,master" in line
                for first, last in (_range(word) for word in line.split()[8:] if not word.startswith("["))
            ):  # fmt: skip
                return node
        raise AssertionError(f"No node serves slot {slot}.")

    def await_whole(self) -> None:
        """Wait until every node that runs says that every slot is served."""
        wait_until(
            lambda: all(
                "cluster_state:ok" in str(node.ask("CLUSTER", "INFO")) for node in self.nodes if node.answers()
            ),
            lambda: "The cluster did not become whole.",
        )

    def __enter__(self) -> Self:
        for node in self.nodes:
            node.start()
        subprocess.run(
            [program("redis-cli", "redis-tools"), "--cluster", "create",
             *(f"127.0.0.1:{node.port}" for node in self.nodes),
             "--cluster-replicas", str(self._replicas), "--cluster-yes"],
            check=True, capture_output=True,
        )  # fmt: skip
        self.await_whole()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for node in self.nodes:
            node.__exit__(kind, error, trace)


def _client(port: int) -> redis.Redis:
    """Says at once that nobody answers: redis-py's own default tries for seconds."""
    return redis.Redis(port=port, socket_timeout=10, decode_responses=True, retry=Retry(NoBackoff(), 0))


def _words(line: str) -> list[str]:
    name, _, value = line.partition(" ")
    # Redis reads `--save ""` as an empty value, and every other value as the rest of a line.
    return [f"--{name}", *(["" if value == '""' else part for part in value.split()])]


def _range(word: str) -> tuple[int, int]:
    first, _, last = word.partition("-")
    return int(first), int(last or first)


def _knows_all(sentinel: SentinelProcess) -> bool:
    known = sentinel.master()
    return known["num-slaves"] == "1" and known["num-other-sentinels"] == "2"
