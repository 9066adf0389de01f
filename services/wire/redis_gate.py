"""A way to Redis for what can do without it: nobody waits long, and nobody waits twice for a server that is away."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from typing import Any

import gevent
import redis
from gevent.lock import BoundedSemaphore

from .redis_link import RedisLink, Script, Value

logger = logging.getLogger(__name__)

LIMIT_S = 0.5
"""How long a caller waits for one script."""
TICKS = 5
"""Looks in that time. A process that was kept from running for a second has waited one tick, not for Redis."""
AT_ONCE = 64
"""Scripts under way: each has a connection, which is kept."""
PROBE_S = 1.0
"""Between two questions whether Redis is back."""


class Unreachable(Exception):
    """Redis did not answer, or is known not to: go on with what this worker knows by itself."""


class RedisGate:
    """Runs scripts while Redis answers. It shuts at the first that fails; then one greenlet asks until Redis is back.

    State is this process's; `run` yields while the gate is open, and not at all while it is shut.

    Attributes:
        link: What is behind it.
    """

    def __init__(self, link: RedisLink) -> None:
        self.link = link
        self._probing: gevent.Greenlet | None = None
        self._closed = False
        self._slots = BoundedSemaphore(AT_ONCE)

    @property
    def is_open(self) -> bool:
        return self._probing is None

    def run(self, script: Script, keys: Sequence[str], arguments: Iterable[Value]) -> Any:
        """Run a script; all `keys` are of one partition, and it must bear to be done twice.

        Raises:
            Unreachable: It was not done, or nobody knows whether it was.
        """
        if self._probing is not None:
            raise Unreachable
        # In a greenlet of its own: neither this limit nor whoever stops the caller may cut a connection's talk in two.
        job = gevent.spawn(self._run, script, keys, arguments)
        for _ in range(TICKS):
            job.join(LIMIT_S / TICKS)
            if job.ready():
                break
        else:
            self._shut("no answer in time")
            raise Unreachable
        answer, error = job.value
        if error is not None:
            self._shut(str(error))
            raise Unreachable
        return answer

    def close(self) -> None:
        """Ask no more. The link stays the caller's."""
        self._closed = True
        if self._probing is not None:
            self._probing.kill()

    def _run(self, script: Script, keys: Sequence[str], arguments: Iterable[Value]) -> tuple[Any, Exception | None]:
        with self._slots:
            try:
                return self.link.run(script, keys, arguments), None
            except redis.TimeoutError:
                pass  # after a standstill of this process the timer fires before the answer is looked at
            except redis.RedisError as error:
                return None, error
            try:
                return self.link.run(script, keys, arguments), None
            except redis.RedisError as error:
                return None, error

    def _shut(self, why: str) -> None:
        if self._probing is None and not self._closed:
            logger.warning("Redis is away (%s): limits and breakers are this worker's own until it is back", why)
            self._probing = gevent.spawn(self._await_return)

    def _await_return(self) -> None:
        while True:
            gevent.sleep(PROBE_S)
            try:
                for partition in range(self.link.partitions):
                    self._write(partition)
            except redis.RedisError:
                continue
            logger.warning("Redis is back: limits and breakers are shared again")
            self._probing = None
            return

    def _write(self, partition: int) -> None:
        """A server that only reads, for it is full or a replica, is not back."""
        key = self.link.key(partition, "probe")
        self.link.ask(lambda client: client.set(key, 1, px=1000))
