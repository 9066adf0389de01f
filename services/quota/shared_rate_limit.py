"""How often something may be done, over all workers: the token buckets of `rate_limit`, kept in Redis."""

from __future__ import annotations

from services.clock import Clock
from services.ids import digest
from services.quota.rate_limit import RateLimit
from services.wire.redis_gate import RedisGate, Unreachable
from services.wire.redis_link import Script

TAKE = Script(
    """
-- KEYS: a bucket, a hash of what is left and when that was. ARGV: tokens a millisecond, the burst.
-- Returns the milliseconds to wait, 0 when one was taken. The server's clock is the only one.
local rate, burst = tonumber(ARGV[1]), tonumber(ARGV[2])
local bucket = redis.call('HMGET', KEYS[1], 'left', 'at')
local left = tonumber(bucket[1] or burst)
left = math.min(burst, left + math.max(0, now_ms - tonumber(bucket[2] or now_ms)) * rate)
local wait = 0
if left >= 1 then left = left - 1 else wait = math.ceil((1 - left) / rate) end
redis.call('HSET', KEYS[1], 'left', tostring(left), 'at', string.format('%.0f', now_ms))
redis.call('PEXPIRE', KEYS[1], math.ceil((burst - left) / rate) + 1000) -- by then it is full, as one never seen
return wait
""",
    is_timed=True,
)


class SharedRateLimit(RateLimit):
    """One bucket a key for all workers; while Redis is away, this worker's own."""

    def __init__(self, gate: RedisGate, clock: Clock, *, name: str, per_minute: float, burst: int) -> None:
        """`name` tells the buckets of one limit from another's."""
        super().__init__(clock, per_minute=per_minute, burst=burst)
        self._gate = gate
        self._name = name
        self._arguments = (per_minute / 60_000, burst)

    def take(self, key: str) -> float:
        link, whose = self._gate.link, digest(key)[:32]
        bucket = link.key(link.partition(whose), "rate", self._name, whose)
        try:
            wait_ms: int = self._gate.run(TAKE, [bucket], self._arguments)
        except Unreachable:
            return super().take(key)
        return wait_ms / 1000
