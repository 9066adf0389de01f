"""One blocking read a worker: what other workers write of the turns that are followed here, and what they ask of it.

The read covers the logs that are followed and the worker's inbox, to which the worker itself writes every second: it
so hears whether it still hears (a canary), and the read wakes when a further log is to be followed. After Redis was
away it reads on from its last ids. In a cluster each partition in use has a read of its own, because one command
cannot cover two hash slots.
"""

from __future__ import annotations

import logging
import random
import time
from collections import defaultdict
from collections.abc import Callable
from contextlib import suppress

import gevent
import redis

from services.relay.keys import INBOX_S, Keys
from services.relay.redis_log import RedisLog
from services.wire.redis_link import RedisLink, Script

logger = logging.getLogger(__name__)

CANARY_S = 1.0
DEAF_S = 5.0
"""A worker that Redis answers, but that does not hear itself for so long, is deaf."""
PAUSE_S = 0.004
"""Between two reads, so that more entries come with each."""
LONGEST_WAIT_S = 1.0
ENTRIES_AT_ONCE = 500
INBOX_ENTRIES = 256

HEARD = Script("redis.call('ZADD', KEYS[1], now_ms, ARGV[1])", is_timed=True)


class Reader:
    """Shared state: `_followed`, by partition and key; changed without a yield in between.

    Attributes:
        on_request: Told what another worker asks, and of which turn. Must not yield.
    """

    def __init__(self, link: RedisLink, *, worker: str, on_request: Callable[[str, str], None]) -> None:
        self.on_request = on_request
        self._link = link
        self._keys = Keys(link)
        self._worker = worker
        self._followed: dict[int, dict[str, tuple[RedisLog, str]]] = defaultdict(dict)
        self._inbox_ids: dict[int, str] = {}
        self._reading: dict[int, gevent.Greenlet] = {}
        self._heard_at = time.monotonic()
        self._canary = gevent.spawn(self._sing)
        self._start(0)

    def follow(self, log: RedisLog) -> None:
        """Feed `log` with what comes after what it has. Never yields."""
        partition = self._link.partition(log.turn_id)
        self._followed[partition][self._keys.log(log.turn_id)] = (log, f"{log.sent.epoch}-{log.sent.offset}")
        self._start(partition)
        gevent.spawn(self.ask, self._worker, "wake", "", partition)

    def unfollow(self, log: RedisLog) -> None:
        """Feed it no more. Never yields."""
        self._followed[self._link.partition(log.turn_id)].pop(self._keys.log(log.turn_id), None)

    def ask(self, worker: str, request: str, turn_id: str, partition: int = 0) -> bool:
        """Put a request into a worker's inbox; False when Redis is away."""
        key = self._keys.inbox(partition, worker)
        fields = {"request": request, "turn": turn_id}

        def send(client: object) -> None:
            client.xadd(key, fields, maxlen=INBOX_ENTRIES, approximate=True)  # type: ignore[attr-defined]
            client.expire(key, INBOX_S)  # type: ignore[attr-defined]

        try:
            self._link.ask(send)
        except redis.RedisError:
            return False
        return True

    @property
    def deaf(self) -> bool:
        """Whether Redis takes this worker's words, but the worker has not heard them for a while."""
        return self._link.up and time.monotonic() - max(self._heard_at, self._link.up_since) > DEAF_S

    def follows(self, log: RedisLog) -> bool:
        """Whether this very log is fed."""
        return self._followed[self._link.partition(log.turn_id)].get(self._keys.log(log.turn_id), (None,))[0] is log

    @property
    def followed(self) -> int:
        return sum(map(len, self._followed.values()))

    def close(self) -> None:
        self._canary.kill()
        for greenlet in self._reading.values():
            greenlet.kill()

    def _start(self, partition: int) -> None:
        if partition not in self._reading:
            self._reading[partition] = gevent.spawn(self._run, partition)

    def _sing(self) -> None:
        while True:
            if self.ask(self._worker, "hear", ""):
                with suppress(redis.RedisError):
                    self._link.run(HEARD, [self._keys.workers()], [self._worker])
            if self.deaf:
                logger.error("this worker does not hear Redis; it reads anew")
                self._reading.pop(0).kill()
                self._inbox_ids.clear()
                self._start(0)
            gevent.sleep(CANARY_S)

    def _run(self, partition: int) -> None:
        wait_s = 0.0
        inbox = self._keys.inbox(partition, self._worker)
        while True:
            followed = self._followed[partition]
            streams = {inbox: self._inbox_ids.get(partition, "0-0")}
            streams |= {key: last for key, (_, last) in followed.items()}
            try:
                found = self._link.follow(streams, ENTRIES_AT_ONCE)
            except redis.RedisError as error:
                wait_s = min(wait_s * 2 + 0.05, LONGEST_WAIT_S)
                logger.debug("reading waits for Redis: %s", error)
                gevent.sleep(wait_s * random.uniform(0.5, 1.0))
                continue
            wait_s = 0.0
            for key, entries in found:
                if key == inbox:
                    self._inbox_ids[partition] = entries[-1][0]
                    self._hear(entries)
                elif key in followed:
                    self._feed(followed, key, entries)
            gevent.sleep(PAUSE_S)

    def _hear(self, entries: list[tuple[str, list[bytes]]]) -> None:
        self._heard_at = time.monotonic()
        for _, fields in entries:
            facts = dict(zip(fields[::2], fields[1::2], strict=False))
            request = facts.get(b"request", b"").decode(errors="replace")
            if request not in ("hear", "wake"):
                self.on_request(request, facts.get(b"turn", b"").decode(errors="replace"))

    def _feed(
        self, followed: dict[str, tuple[RedisLog, str]], key: str, entries: list[tuple[str, list[bytes]]]
    ) -> None:
        log, _ = followed[key]
        try:
            for name, (_, kind, _, payload) in entries:
                log.receive(name, kind.decode(), payload)
        except Exception:  # somebody else wrote there, or a hole: who follows asks again and has it read anew
            logger.exception("turn %s cannot be followed", log.turn_id)
            followed.pop(key, None)
            return
        if log.ended is not None or log.writer is not None:
            followed.pop(key, None)
        elif key in followed:
            followed[key] = (log, entries[-1][0])
