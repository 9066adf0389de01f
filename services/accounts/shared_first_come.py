"""Who came first with something that only one may use, on any worker: `first_come`, kept in Redis."""

from __future__ import annotations

from services.accounts.first_come import FirstCome
from services.clock import Clock
from services.ids import digest
from services.wire.redis_gate import RedisGate, Unreachable
from services.wire.redis_link import Script

COME = Script("""
-- KEYS: a thing. ARGV: who brings it, how long that counts (ms). Returns who brought it first.
redis.call('SET', KEYS[1], ARGV[1], 'NX', 'PX', ARGV[2])
return redis.call('GET', KEYS[1])
""")


class SharedFirstCome(FirstCome):
    """One memory for all workers; while Redis is away, this worker's own, which knows what it saw."""

    def __init__(self, gate: RedisGate, clock: Clock, *, name: str, life_s: float) -> None:
        """`name` tells one kind of things from another's."""
        super().__init__(clock, life_s=life_s)
        self._gate = gate
        self._name = name

    def is_first(self, thing: str, who: str) -> bool:
        if not super().is_first(thing, who):
            return False
        link, what, bringer = self._gate.link, digest(thing)[:32], digest(who)[:32]
        key = link.key(link.partition(what), "first", self._name, what)
        try:
            first: bytes = self._gate.run(COME, [key], [bringer, round(self._life_s * 1000)])
        except Unreachable:
            return True
        return first.decode() == bringer
