"""Circuit breakers that all workers share: what one has learned of a provider the others know within a second."""

from __future__ import annotations

from contextlib import suppress

import gevent
from gevent.event import Event

from services.clock import Clock
from services.providers.breaker import Breaker
from services.wire.redis_gate import RedisGate, Unreachable
from services.wire.redis_link import Script

REFRESH_S = 1.0
KEPT_MS = 600_000
"""A provider nobody has asked for so long is taken to be well."""

READ = Script(
    """
-- KEYS: a hash of provider and the moment its rest ends. Returns providers and the milliseconds left, in turns.
local told = redis.call('HGETALL', KEYS[1])
for at = 2, #told, 2 do told[at] = math.max(0, tonumber(told[at]) - now_ms) end
return told
""",
    is_timed=True,
)

REST = Script(
    """
-- KEYS: the hash. ARGV: a provider that failed, its rest (ms), how long to remember it (ms).
redis.call('HSET', KEYS[1], ARGV[1], string.format('%.0f', now_ms + ARGV[2]))
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return 1
""",
    is_timed=True,
)

TRY = Script(
    """
-- KEYS, ARGV: as for REST. Returns 0 when the caller may ask the provider, else the milliseconds it still rests:
-- of all workers' callers one is let through, and the next only after another rest.
local ends = redis.call('HGET', KEYS[1], ARGV[1])
if not ends then return 0 end
if now_ms < tonumber(ends) then return tonumber(ends) - now_ms end
redis.call('HSET', KEYS[1], ARGV[1], string.format('%.0f', now_ms + ARGV[2]))
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return 0
""",
    is_timed=True,
)

WELL = Script("""
-- KEYS: the hash. ARGV: a provider that began to answer.
return redis.call('HDEL', KEYS[1], ARGV[1])
""")


class SharedBreaker(Breaker):
    """A breaker whose rests hold for all workers; while Redis is away, for this one. Only `allows` may yield."""

    def __init__(self, board: BreakerBoard, name: str, clock: Clock) -> None:
        super().__init__(clock=clock)
        self.name = name
        self._board = board

    def allows(self) -> bool:
        """One caller of all workers per rest is let through; Redis is asked only then."""
        was_broken = self.is_broken
        if not super().allows():
            return False
        if not was_broken:
            return True
        left_s = self._board.claim(self.name, self.rest_s)
        if left_s > 0:
            self.learn(left_s)
        return left_s == 0

    def failed(self) -> None:
        super().failed()
        if self.is_broken:
            self._board.tell(self.name)

    def succeeded(self) -> None:
        if self.is_broken:
            self._board.tell(self.name)
        super().succeeded()


class BreakerBoard:
    """What the workers tell each other of their providers. One greenlet reads and writes it.

    State of this process: `_untold`, whom the board does not know all about yet; touched without a yield.
    """

    def __init__(self, gate: RedisGate, clock: Clock) -> None:
        self._gate = gate
        self._clock = clock
        self._key = gate.link.key(gate.link.partition("breakers"), "breakers")
        self._breakers: dict[str, SharedBreaker] = {}
        self._untold: set[str] = set()
        self._news = Event()
        self._keeping: gevent.Greenlet | None = None

    def breaker(self, name: str) -> Breaker:
        """The one of this provider."""
        breaker = self._breakers[name] = SharedBreaker(self, name, self._clock)
        if self._keeping is None:
            self._keeping = gevent.spawn(self._keep_on)
        return breaker

    def close(self) -> None:
        if self._keeping is not None:
            self._keeping.kill()

    def tell(self, name: str) -> None:
        """The provider began to rest, or is well again: Redis is told soon. Never yields."""
        self._untold.add(name)
        self._news.set()

    def claim(self, name: str, rest_s: float) -> float:
        """Ask to be the one caller of this rest: 0 when it is, else how long the provider still rests."""
        try:
            left_ms: int = self._gate.run(TRY, [self._key], [name, round(rest_s * 1000), KEPT_MS])
        except Unreachable:
            return 0.0  # this worker lets one of its own through
        return left_ms / 1000

    def refresh(self) -> None:
        """Tell what is new here, then take over what is told there."""
        with suppress(Unreachable):
            for name in list(self._untold):
                self._untold.discard(name)
                try:
                    self._write(self._breakers[name])
                except Unreachable:
                    self._untold.add(name)
                    raise
            told = self._gate.run(READ, [self._key], [])
            resting = {told[at].decode(): int(told[at + 1]) / 1000 for at in range(0, len(told), 2)}
            for name, breaker in self._breakers.items():
                if name not in self._untold:  # something happened here since
                    breaker.learn(resting.get(name))

    def _write(self, breaker: SharedBreaker) -> None:
        if breaker.is_broken:
            left_ms = max(1, round(breaker.left_s * 1000))
            self._gate.run(REST, [self._key], [breaker.name, left_ms, KEPT_MS])
        else:
            self._gate.run(WELL, [self._key], [breaker.name])

    def _keep_on(self) -> None:
        while True:
            self._news.wait(REFRESH_S)
            self._news.clear()
            self.refresh()
