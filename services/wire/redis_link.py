"""The way to Redis: one server, a set watched by Sentinel, or a cluster, with time limits of our own.

`REDIS_URL` is one of

- `redis://[[user]:password@]host[:port][/db]`, `rediss://` for TLS, `unix://[[user]:password@]/path.sock?db=0`;
- `redis+sentinel://[[user]:password@]host:port,host:port/[db/]service`, the service as Sentinel calls it;
- `redis+cluster://[[user]:password@]host:port,host:port`, any of the cluster's nodes.

No command is repeated after a time limit: what it did is not known then. One that met a closed connection (a server
that restarted) is sent once more on a new one, so each must bear to be done twice.
"""

from __future__ import annotations

import hashlib
import time
import zlib
from collections.abc import Callable, Iterable, Sequence
from typing import Any, cast
from urllib.parse import unquote, urlsplit

import redis
from redis.backoff import NoBackoff
from redis.cluster import ClusterNode, RedisCluster
from redis.exceptions import NoScriptError, OutOfMemoryError, ReadOnlyError, RedisClusterException
from redis.retry import Retry
from redis.sentinel import Sentinel

from config import REDIS_FORMS, ConfigError

TIMEOUT_S = 1.0
"""How long one command, or one connect, is waited for."""

BLOCK_S = 0.4
"""How long a blocking read waits at the server; the socket waits `TIMEOUT_S` more."""

PARTITIONS = 16
"""Of a cluster. The keys of one partition share a hash slot, so that one script or one read may touch them all."""

_CLOCK = """
local time = redis.call('TIME')
local now_ms = time[1] * 1000 + math.floor(time[2] / 1000)
"""

Value = str | bytes | int | float


class RedisLink:
    """Redis as one process uses it. Every method but the plain attributes yields.

    Attributes:
        prefix: Begins every key and channel, so that several servers can share one Redis.
        is_cluster: Whether keys of different partitions live apart.
        up_since: Since when every command has succeeded (`time.monotonic`); infinity while the last one failed.
    """

    def __init__(self, address: str, prefix: str = "parley", *, timeout_s: float = TIMEOUT_S) -> None:
        """Connects at the first command.

        Raises:
            ConfigError: `address` is not of a known form.
        """
        self.prefix = prefix
        self.address = address
        self.is_cluster = urlsplit(address).scheme == "redis+cluster"
        self.up_since = time.monotonic()
        self._timeout_s = timeout_s
        self._connected: dict[float, Any] = {}
        _check(address)

    @property
    def up(self) -> bool:
        """Whether the last command succeeded."""
        return self.up_since != float("inf")

    @property
    def partitions(self) -> int:
        return PARTITIONS if self.is_cluster else 1

    def partition(self, name: str) -> int:
        """Where the keys of this thing live."""
        return zlib.crc32(name.encode()) % PARTITIONS if self.is_cluster else 0

    def key(self, partition: int, *parts: str) -> str:
        return ":".join((self.prefix, f"{{p{partition}}}", *parts))

    def run(self, script: Script, keys: Sequence[str], arguments: Iterable[Value]) -> Any:
        """Run a script; all `keys` are of one partition.

        Raises:
            redis.RedisError: It failed, or took longer than the limit; whether it was done is then unknown.
        """
        return self.ask(lambda client: script.run(client, keys, arguments))

    def ask(self, command: Callable[[Any], Any]) -> Any:
        """Have `command` use a client, as in `ask(lambda client: client.get(key))`.

        Raises:
            redis.RedisError: As for `run`.
        """
        return self._noted(lambda: command(self._client(self._timeout_s)))

    def follow(self, streams: dict[str, str], count: int) -> list[tuple[str, list[tuple[str, list[bytes]]]]]:
        """Wait `BLOCK_S` at most for entries of `streams` (key: last id) of one partition, on a connection of its own.

        Returns:
            Each stream that has some, with its entries: id, and fields and values in turn.
        """
        words = ["XREAD", "COUNT", count, "BLOCK", round(BLOCK_S * 1000), "STREAMS", *streams, *streams.values()]

        def read() -> Any:
            client = self._client(self._timeout_s + BLOCK_S)
            if not self.is_cluster:
                return client.execute_command(*words)
            # The cluster's client does not know which words of a read are keys, so the node is asked past it.
            node = client.get_node_from_key(next(iter(streams)))
            try:
                return client.get_redis_connection(node).execute_command(*words)
            except (redis.ConnectionError, redis.TimeoutError, redis.ResponseError):
                client.nodes_manager.initialize()  # it is gone, or the slot is another's by now
                raise

        found = self._noted(read)
        pairs = found.items() if isinstance(found, dict) else found or ()
        return [(key.decode(), [_entry(entry) for entry in entries]) for key, entries in pairs]

    def close(self) -> None:
        for client in self._connected.values():
            client.close()
        self._connected.clear()

    def _noted(self, command: Callable[[], Any]) -> Any:
        try:
            answer = command()
        except (redis.RedisError, RedisClusterException, OSError) as error:
            if not isinstance(error, redis.ResponseError) or isinstance(error, (ReadOnlyError, OutOfMemoryError)):
                self.up_since = float("inf")
            if isinstance(error, ReadOnlyError):
                self._forget_connections()  # a primary that became a replica: the name may lead elsewhere by now
            if isinstance(error, redis.RedisError):
                raise
            raise redis.ConnectionError(str(error)) from error
        if not self.up:
            self.up_since = time.monotonic()
        return answer

    def _forget_connections(self) -> None:
        for client in self._connected.values():
            if not self.is_cluster:
                client.connection_pool.disconnect()

    def _client(self, timeout_s: float) -> Any:
        client = self._connected.get(timeout_s)
        if client is None:
            client = _connect(self.address, timeout_s)  # yields; a second one made meanwhile is as good
            client = self._connected.setdefault(timeout_s, client)
        return client


class Script:
    """A Lua script: one atomic step on the keys of one partition."""

    def __init__(self, source: str, *, is_timed: bool = False) -> None:
        """
        Args:
            is_timed: It finds the server's clock, the only one that all workers share, in `now_ms`.
        """
        self._source = _CLOCK + source if is_timed else source
        self._sha = hashlib.sha1(self._source.encode(), usedforsecurity=False).hexdigest()

    def run(self, client: Any, keys: Sequence[str], arguments: Iterable[Value]) -> Any:
        words = [*keys, *arguments]
        try:
            return client.evalsha(self._sha, len(keys), *words)
        except NoScriptError:  # the server's first, or its first since a restart
            return client.eval(self._source, len(keys), *words)


def _entry(entry: Any) -> tuple[str, list[bytes]]:
    name, fields = entry
    return name.decode(), [part for pair in fields.items() for part in pair]


def _options(timeout_s: float) -> dict[str, Any]:
    return {
        "socket_timeout": timeout_s,
        "socket_connect_timeout": timeout_s,
        "retry": Retry(NoBackoff(), 1, supported_errors=(redis.ConnectionError,)),
        "protocol": 2,
    }


def _connect(address: str, timeout_s: float) -> Any:
    url = urlsplit(address)
    options = _options(timeout_s)
    if url.scheme == "unix":
        return redis.Redis.from_url(address, **options)
    options["socket_keepalive"] = True
    if url.scheme in ("redis", "rediss"):
        return redis.Redis.from_url(address, **options)
    given = {"username": url.username, "password": url.password}
    login: dict[str, Any] = {name: unquote(value) for name, value in given.items() if value}
    hosts = _hosts(url.netloc)
    if url.scheme == "redis+cluster":
        nodes = [cast(Any, ClusterNode)(host, port) for host, port in hosts]
        options["retry"] = Retry(NoBackoff(), 2, supported_errors=(redis.ConnectionError,))
        options |= login
        return RedisCluster(startup_nodes=nodes, require_full_coverage=False, **options)
    path = url.path.strip("/").split("/")
    sentinel: Any = cast(Any, Sentinel)(hosts, sentinel_kwargs=options, **options)
    return sentinel.master_for(path[-1], db=int(path[0]) if len(path) == 2 else 0, **login)


def _hosts(netloc: str) -> list[tuple[str, int]]:
    hosts = []
    for part in netloc.rpartition("@")[2].split(","):
        host, _, port = part.rpartition(":") if ":" in part.rpartition("]")[2] else (part, "", "6379")
        hosts.append((host.strip("[]"), int(port)))
    return hosts


def _check(address: str) -> None:
    url = urlsplit(address)
    known = url.scheme in REDIS_FORMS
    try:
        whole = known and (bool(url.path) if url.scheme == "unix" else all(host for host, _ in _hosts(url.netloc)))
        if url.scheme == "redis+sentinel":
            path = url.path.strip("/").split("/")
            whole = whole and bool(path[-1]) and (len(path) == 1 or (len(path) == 2 and path[0].isdigit()))
    except ValueError:
        whole = False
    if not whole:
        raise ConfigError(
            "REDIS_URL must be redis://host:port/db, rediss://, unix://, redis+sentinel://host:port,host:port/service"
            " or redis+cluster://host:port,host:port.",
            "REDIS_URL 应为 redis://主机:端口/库、rediss://、unix://、redis+sentinel://主机:端口,主机:端口/服务名"
            " 或 redis+cluster://主机:端口,主机:端口。",
        )
