"""Every log this worker has a part in: those it writes, and copies of those that its viewers follow."""

from __future__ import annotations

import logging
import random
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import gevent
import redis
from gevent.event import AsyncResult

from services.clock import Clock
from services.relay.journal import Journal
from services.relay.keys import Keys
from services.relay.memory_log import MemoryLogs
from services.relay.reader import Reader
from services.relay.redis_log import RedisLog
from services.wire.redis_link import RedisLink, Script, Value

logger = logging.getLogger(__name__)

FETCHED_AT_ONCE = 500
MAX_COPIES = 2_000
UNWATCHED_S = 30.0
"""A copy that nobody follows is let go after so long."""
PEER_S = 3.0
"""A worker that was not heard for so long is not counted on."""

_SCRIPTS = Path(__file__).parent / "scripts"
CLAIM = Script((_SCRIPTS / "claim.lua").read_text(), is_timed=True)
GIVE = Script((_SCRIPTS / "give.lua").read_text(), is_timed=True)
RELEASE = Script((_SCRIPTS / "release.lua").read_text(), is_timed=True)
LAPSED = Script(
    "return redis.call('ZRANGEBYSCORE', KEYS[1], 0, ARGV[1] == 'lapsed' and now_ms or 0, 'LIMIT', 0, 64)",
    is_timed=True,
)
MISSING = Script("""
local missing = {}
for _, turn in ipairs(ARGV) do
    if not redis.call('ZSCORE', KEYS[1], turn) then missing[#missing + 1] = turn end
end
return missing
""")
PEERS = Script("return redis.call('ZRANGEBYSCORE', KEYS[1], now_ms - ARGV[1], '+inf')", is_timed=True)

Sure = Literal["lapsed", "wanted", "forgotten", "dead"]


@dataclass(frozen=True, slots=True)
class Claimed:
    """A turn that is this worker's from now on: its log as far as it came, and what it was asked.

    Attributes:
        outlived: How many workers died, or went silent, while they ran it.
    """

    log: RedisLog
    order: bytes
    outlived: int = 0


class RedisLogs:
    """The `TurnLogs` of one worker among several.

    Shared state: `_copies` and `_fetching`, by turn; changed without a yield in between.

    Attributes:
        on_stop: Told the turn that another worker's user wants stopped. Must not yield.
        on_wanted: Told the turn that another worker wants to go on with, and which worker. Must not yield.
    """

    def __init__(self, link: RedisLink, clock: Clock, *, worker: str, ttl_s: float, lease_s: float) -> None:
        self.on_stop: Callable[[str], None] = lambda turn_id: None
        self.on_wanted: Callable[[str, str], None] = lambda turn_id, worker: None
        self.worker = worker
        self._link = link
        self._keys = Keys(link)
        self._lease_s = lease_s
        self._kept = MemoryLogs(clock, ttl_s)
        self._copies: dict[str, float] = {}  # turn id: since when nobody watches, 0 while somebody does
        self._fetching: dict[str, AsyncResult[RedisLog | None]] = {}
        self._journal = Journal(link, owner=worker, lease_s=lease_s, kept_s=ttl_s)
        self._journal.on_overtaken = self._overtaken
        self._reader = Reader(link, worker=worker, on_request=self._asked)
        self._sweeping = gevent.spawn(self._sweep)

    # -- the contract of TurnLogs

    def open(self, turn_id: str, order: bytes = b"-") -> RedisLog:
        log = RedisLog(turn_id, order=order, writer=self._journal)
        self._kept.put(log)
        self._journal.open(log)
        return log

    def find(self, turn_id: str) -> RedisLog | None:
        if (log := self._current(turn_id)) is not None:
            return log
        if (other := self._fetching.get(turn_id)) is not None:
            found: RedisLog | None = other.get()
            return found
        result: AsyncResult[RedisLog | None] = AsyncResult()
        self._fetching[turn_id] = result
        try:
            log = self._fetch(turn_id)
        except BaseException:
            result.set(None)
            raise
        finally:
            del self._fetching[turn_id]
        result.set(log)
        return log

    def release(self, turn_id: str) -> None:
        self._kept.release(turn_id)

    def __len__(self) -> int:
        return len(self._kept)

    # -- between workers

    def ask_to_stop(self, turn_id: str) -> bool:
        """Pass a stop on to the worker that runs the turn; False when that could not be done now."""
        try:
            owner = self._link.ask(lambda client: client.hget(self._keys.facts(turn_id), "owner"))
        except redis.RedisError:
            return False
        return owner is not None and self._reader.ask(owner.decode(), "stop", turn_id)

    def lapsed(self) -> list[str]:
        """Turns whose owner has handed them over, or gone silent. Nobody counts as silent while this worker, and so
        perhaps all, has just been without Redis: those who are alive renew their leases first.

        Raises:
            redis.RedisError: Redis is away.
        """
        found: list[str] = []
        for partition in range(self._link.partitions):
            which = "lapsed" if self.steady else "handed over"
            found += (name.decode() for name in self._link.run(LAPSED, [self._keys.leases(partition)], [which]))
        return found

    @property
    def steady(self) -> bool:
        """Whether Redis has answered for so long that everybody who lives has renewed his leases."""
        return time.monotonic() - self._link.up_since > self._lease_s + 1

    def without_lease(self, turn_ids: Iterable[str]) -> list[str]:
        """Those of which Redis has no lease.

        Raises:
            redis.RedisError: Redis is away.
        """
        parts: dict[int, list[str]] = defaultdict(list)
        for turn_id in turn_ids:
            parts[self._link.partition(turn_id)].append(turn_id)
        found: list[str] = []
        for partition, part in parts.items():
            found += (name.decode() for name in self._link.run(MISSING, [self._keys.leases(partition)], part))
        return found

    def peers(self) -> list[str]:
        """Other workers that were heard just now; none when Redis is away."""
        try:
            names = self._link.run(PEERS, [self._keys.workers()], [PEER_S * 1000])
        except redis.RedisError:
            return []
        return [name.decode() for name in names if name.decode() != self.worker]

    def claim(self, turn_id: str, *, least_fence: int, sure: Sure) -> Claimed | None:
        """Take a turn over; None when it is somebody's, or has ended.

        Args:
            least_fence: The fence the database knows; the new one is higher.
            sure: See `scripts/claim.lua`.

        Raises:
            redis.RedisError: Redis is away; whether the turn was claimed is unknown, and a claim lapses like any lease.
        """
        words: list[Value] = [turn_id, self.worker, round(self._lease_s * 1000), least_fence, sure]
        answer = self._link.run(CLAIM, self._keys.ownership(turn_id), words)
        if not answer:
            return None
        log = self._current(turn_id)
        if log is None or log.writer is not None:
            log = RedisLog(turn_id)
        self._reader.unfollow(log)
        self._load(log)
        log.fence, log.order, log.known = int(answer[0]), answer[1] or b"-", True
        log.writer = self._journal
        self._copies.pop(turn_id, None)
        self._kept.put(log)
        self._journal.open(log)
        return Claimed(log, log.order, int(answer[2]))

    def hand_over(self, log: RedisLog) -> None:
        """Let the next worker that looks have this turn; its viewers here follow what that one writes.

        When Redis is away the lease runs out by itself.
        """
        self._part_with(log, RELEASE, [])

    def fetch(self, turn_id: str, timeout_s: float) -> Claimed | None:
        """Have a turn that another worker runs brought here, because its user is here now.

        Its owner is asked to give it; one that is gone is not waited for longer than its lease.

        Returns:
            The turn; None when it ended meanwhile or its owner does not let go of it.
        """
        until, ask_at = time.monotonic() + timeout_s, 0.0
        while time.monotonic() < until:
            with suppress(redis.RedisError):
                owner, ended = self._link.ask(lambda client: client.hmget(self._keys.facts(turn_id), "owner", "ended"))
                if ended is not None:
                    return None
                given = owner is not None and owner.decode() == self.worker
                claimed = self.claim(turn_id, least_fence=0, sure="dead" if given else "wanted")
                if claimed is not None:
                    return claimed
                if owner is not None and time.monotonic() >= ask_at:
                    self._reader.ask(owner.decode(), f"give {self.worker}", turn_id)
                    ask_at = time.monotonic() + 1.0
            gevent.sleep(0.05)
        return None

    def give(self, log: RedisLog, worker: str) -> None:
        """Let one other worker have this turn, which has been let go of here."""
        self._part_with(log, GIVE, [worker, round(self._lease_s * 1000), log.order])

    def discard(self, log: RedisLog) -> None:
        """Forget a turn that no longer exists, here and in Redis."""
        self._journal.forget(log)
        log.lose()
        self._kept.drop(log.turn_id)
        leases, facts = self._keys.ownership(log.turn_id)

        def delete(client: Any) -> None:
            client.zrem(leases, log.turn_id)
            client.delete(facts, self._keys.log(log.turn_id))

        with suppress(redis.RedisError):
            self._link.ask(delete)

    def retire(self) -> None:
        """Count no more among the workers; nothing is claimed here any more."""
        with suppress(redis.RedisError):
            self._link.ask(lambda client: client.zrem(self._keys.workers(), self.worker))

    @property
    def works(self) -> bool:
        """Whether this worker's turns reach the others, and theirs reach it."""
        return not (self._reader.deaf or self._journal.failing)

    @property
    def unsent(self) -> int:
        return self._journal.unsent

    @property
    def copies(self) -> int:
        return len(self._copies)

    def close(self) -> None:
        self._sweeping.kill()
        self._reader.close()
        self._journal.close()

    def _current(self, turn_id: str) -> RedisLog | None:
        """The log as it is here, unless nothing feeds it any more."""
        log = self._kept.find(turn_id)
        if not isinstance(log, RedisLog):
            return None
        return log if log.writer is not None or log.ended is not None or self._reader.follows(log) else None

    def _asked(self, request: str, turn_id: str) -> None:
        if request == "stop":
            self.on_stop(turn_id)
        elif request.startswith("give "):
            self.on_wanted(turn_id, request.removeprefix("give "))

    def _overtaken(self, log: RedisLog) -> None:
        log.lose()
        self._copy(log)

    def _part_with(self, log: RedisLog, script: Script, words: Sequence[Value]) -> None:
        """Write what is left of an owned log, then let `script` say who may have the turn."""
        try:
            self._journal.flush([log])
            self._journal.forget(log)
            log.lose()
            self._copy(log)
            self._link.run(script, self._keys.ownership(log.turn_id), [log.turn_id, log.fence, *words])
        except redis.RedisError as error:
            logger.warning("turn %s is handed over when its lease ends: %s", log.turn_id, error)

    def _copy(self, log: RedisLog) -> None:
        self._copies[log.turn_id] = 0.0
        self._kept.put(log)
        self._reader.follow(log)

    def _fetch(self, turn_id: str) -> RedisLog | None:
        log = RedisLog(turn_id)
        try:
            self._load(log)
        except redis.RedisError as error:
            logger.info("turn %s cannot be read from Redis now: %s", turn_id, error)
            return None
        except (ValueError, TypeError, KeyError):
            logger.exception("turn %s cannot be read from Redis", turn_id)
            return None
        if log.offset == 0 and log.epoch == 1:
            return None
        if (mine := self._current(turn_id)) is not None:
            return mine  # it became this worker's while it was read
        self._kept.put(log)
        if log.ended is not None:
            self._kept.release(turn_id)
        else:
            self._copy(log)
        return log

    def _load(self, log: RedisLog) -> None:
        """Read what the stream has beyond what `log` has."""
        key = self._keys.log(log.turn_id)
        while True:
            after = f"({log.sent.epoch}-{log.sent.offset}"
            entries = self._link.ask(lambda client: client.xrange(key, after, "+", count=FETCHED_AT_ONCE))  # noqa: B023
            for name, fields in entries:
                if log.ended is None:
                    log.receive(name.decode(), fields[b"k"].decode(), fields[b"v"])
            if len(entries) < FETCHED_AT_ONCE:
                return

    def _sweep(self) -> None:
        """Let copies go that nobody follows, or that have ended."""
        while True:
            gevent.sleep(random.uniform(1.0, 2.0))
            now = time.monotonic()
            for turn_id, idle_since in list(self._copies.items()):
                log = self._kept.find(turn_id)
                if not isinstance(log, RedisLog) or log.ended is not None:
                    del self._copies[turn_id]
                    self._kept.release(turn_id)
                elif log.watchers:
                    self._copies[turn_id] = 0.0
                elif not idle_since:
                    self._copies[turn_id] = now
                elif now - idle_since > UNWATCHED_S or len(self._copies) > MAX_COPIES:
                    del self._copies[turn_id]
                    self._reader.unfollow(log)
                    self._kept.drop(turn_id)
