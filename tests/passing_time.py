"""Time that passes when a test says so, in this process and in what workers keep in Redis."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import redis

from services.wire.redis_gate import RedisGate
from services.wire.redis_link import RedisLink
from tests.clocks import FakeClock


class Workers:
    """Several workers of one server: without Redis there is only one.

    Attributes:
        clock: Theirs.
    """

    def __init__(self, url: str | None) -> None:
        self.clock = FakeClock()
        self._url = url
        self._prefix = f"test-{uuid.uuid4().hex}"
        self._gates: list[RedisGate] = []

    def gate(self) -> RedisGate | None:
        """A worker's way to Redis; None without one."""
        if self._url is None:
            return None
        self._gates.append(RedisGate(RedisLink(self._url, self._prefix)))
        return self._gates[-1]

    def pass_s(self, seconds: float) -> None:
        """As waiting would: every moment that Redis keeps of these workers moves into the past."""
        self.clock.advance(seconds)
        if self._url is not None:
            with redis.Redis.from_url(self._url) as client:
                for key in client.scan_iter(f"{self._prefix}:*"):
                    _age(client, key, round(seconds * 1000))

    def close(self) -> None:
        for gate in self._gates:
            gate.close()
            gate.link.close()


def workers(url: str | None) -> Iterator[Workers]:
    """What a fixture yields."""
    made = Workers(url)
    try:
        yield made
    finally:
        made.close()


def _age(client: redis.Redis, key: bytes, ms: int) -> None:
    kind = client.type(key)
    if kind == b"hash":
        fields = (b"at", b"until") if not key.endswith(b"breakers") else client.hkeys(key)
        for field in fields:
            if client.hexists(key, field):
                client.hincrby(key, field, -ms)
    elif kind == b"zset":
        for member in client.zrange(key, 0, -1):
            client.execute_command("ZINCRBY", key, -ms, member)
    left = int(client.pttl(key))
    if 0 <= left <= ms:
        client.delete(key)
    elif left > 0:
        client.pexpire(key, left - ms)
