"""How many turns each user has running on all workers: places in Redis that their worker keeps renewing."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import suppress
from itertools import count

import gevent
from gevent.event import Event

from services.clock import Clock
from services.ids import new_id
from services.turns.places import Places
from services.wire.redis_gate import RedisGate, Unreachable
from services.wire.redis_link import Script, Value

LEASE_MS = 15_000
"""How long the places of a worker that died stay taken."""
RENEWED_S = 5.0
AT_ONCE = 200
"""Users in one script."""

TAKE = Script(
    """
-- KEYS: a user's places, a sorted set of place and the moment it lapses.
-- ARGV: a new place, the most, the lease (ms), and those to free before, with blanks. Returns 1 when it was taken.
for place in string.gmatch(ARGV[4], '%S+') do redis.call('ZREM', KEYS[1], place) end
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now_ms)
if not redis.call('ZSCORE', KEYS[1], ARGV[1]) and redis.call('ZCARD', KEYS[1]) >= tonumber(ARGV[2]) then return 0 end
redis.call('ZADD', KEYS[1], now_ms + ARGV[3], ARGV[1])
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return 1
""",
    is_timed=True,
)

KEEP = Script(
    """
-- KEYS: users' places. ARGV: the lease (ms), then for each user the places to renew and those to free, with blanks.
-- A place that lapsed, or that Redis has lost, is taken again: its turn runs.
local lapses = now_ms + ARGV[1]
for at, key in ipairs(KEYS) do
    for place in string.gmatch(ARGV[2 * at], '%S+') do redis.call('ZADD', key, lapses, place) end
    for place in string.gmatch(ARGV[2 * at + 1], '%S+') do redis.call('ZREM', key, place) end
    redis.call('PEXPIRE', key, ARGV[1])
end
return 1
""",
    is_timed=True,
)


class SharedPlaces(Places):
    """One place for all workers' turns. While Redis is away each counts its own; it never refuses for Redis' sake.

    State of this process, by user and touched without a yield: `_held`, `_freed`, and `_asked`, how many places Redis
    is being asked for. One greenlet renews and frees, so that a place given back is never renewed after.
    """

    def __init__(self, gate: RedisGate, clock: Clock) -> None:
        self._gate = gate
        self._clock = clock
        self._worker = new_id("w")
        self._numbers = count()
        self._held: dict[str, list[str]] = {}
        self._freed: dict[str, list[str]] = {}
        self._asked: Counter[str] = Counter()
        self._news = Event()
        self._keeping: gevent.Greenlet | None = None

    def take(self, user_id: str, most: int | None) -> bool:
        place = f"{self._worker}:{next(self._numbers)}"
        if self._keeping is None:
            self._keeping = gevent.spawn(self._keep_on)
        if most is None:
            self._held.setdefault(user_id, []).append(place)
            return True
        if len(self._held.get(user_id, ())) + self._asked[user_id] >= most:
            return False
        self._asked[user_id] += 1
        is_taken = True
        try:
            freed = " ".join(self._freed.pop(user_id, ()))
            is_taken = self._gate.run(TAKE, [self._key(user_id)], [place, most, LEASE_MS, freed]) == 1
        except Unreachable:
            pass  # what this worker runs was counted above
        except BaseException:
            self._give_back(user_id, place)
            raise
        finally:
            self._asked[user_id] -= 1
            if not self._asked[user_id]:
                del self._asked[user_id]
        if is_taken:
            self._held.setdefault(user_id, []).append(place)
        return is_taken

    def free(self, user_id: str) -> None:
        held = self._held[user_id]
        self._give_back(user_id, held.pop())
        if not held:
            del self._held[user_id]

    def renew(self) -> None:
        """Tell Redis of everything that is held."""
        self._tell({*self._held, *self._freed})

    def close(self) -> None:
        if self._keeping is None:
            return
        self._keeping.kill()
        for user_id, held in self._held.items():
            self._freed.setdefault(user_id, []).extend(held)
        self._held.clear()
        self._tell(set(self._freed))

    def _give_back(self, user_id: str, place: str) -> None:
        self._freed.setdefault(user_id, []).append(place)
        self._news.set()

    def _keep_on(self) -> None:
        renewed = self._clock.monotonic()
        while True:
            self._news.wait(RENEWED_S)
            self._news.clear()
            if (now := self._clock.monotonic()) - renewed >= RENEWED_S:
                renewed = now
                self.renew()
            else:
                self._tell(set(self._freed))

    def _tell(self, users: set[str]) -> None:
        """Tell Redis what these users hold and have freed. What it cannot be told now lapses there by itself."""
        for together in self._batches(users):
            words: list[Value] = [LEASE_MS]
            for user_id in together:
                words += [" ".join(self._held.get(user_id, ())), " ".join(self._freed.pop(user_id, ()))]
            with suppress(Unreachable):
                self._gate.run(KEEP, [self._key(user_id) for user_id in together], words)

    def _batches(self, users: set[str]) -> Iterator[list[str]]:
        by_partition: defaultdict[int, list[str]] = defaultdict(list)
        for user_id in users:
            by_partition[self._gate.link.partition(user_id)].append(user_id)
        for together in by_partition.values():
            for start in range(0, len(together), AT_ONCE):
                yield together[start : start + AT_ONCE]

    def _key(self, user_id: str) -> str:
        return self._gate.link.key(self._gate.link.partition(user_id), "running", user_id)
