"""Slowing down who guesses passwords, over all workers: the records of `throttle`, kept in Redis."""

from __future__ import annotations

from services.accounts.throttle import ACCOUNT, ADDRESS, LoginThrottle, refused
from services.clock import Clock
from services.ids import digest
from services.wire.redis_gate import RedisGate, Unreachable
from services.wire.redis_link import Script, Value

KNOWN_MS = 90 * 86_400_000
"""How long an address stays known to an account after a sign-in."""

_HEAD = """
-- KEYS: whether the account knows the address; then hashes of failures, when that was, and until when to refuse:
-- the account's, the account's from this address, the address's.
-- ARGV: 1 when there is an address, then twice, for account and address: failures that are free, the longest wait,
-- how soon one is forgiven (milliseconds), and for how long an address stays known.
local has_address = ARGV[1] == '1'
local mine = KEYS[2]
if has_address and redis.call('EXISTS', KEYS[1]) == 1 then mine = KEYS[3] end
local function whole(number) return string.format('%.0f', number) end
"""

BEGIN = Script(
    _HEAD
    + """
-- Returns the milliseconds to wait; 0 when the attempt was let in, and counted as failed.
local function wait(key) return tonumber(redis.call('HGET', key, 'until') or 0) - now_ms end
local function fail(key, at)
    local free, longest, forgiven = tonumber(ARGV[at]), tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2])
    local record = redis.call('HMGET', key, 'failures', 'at', 'until')
    local passed = math.max(0, now_ms - tonumber(record[2] or now_ms))
    local failures = math.max(0, tonumber(record[1] or 0) - passed / forgiven) + 1
    local blocked = tonumber(record[3] or 0)
    if failures > free then blocked = now_ms + math.min(2 ^ (failures - free) * 1000, longest) end
    redis.call('HSET', key, 'failures', tostring(failures), 'at', whole(now_ms), 'until', whole(blocked))
    redis.call('PEXPIRE', key, whole(failures * forgiven + longest))
end
local longest_wait = wait(mine)
if has_address then longest_wait = math.max(longest_wait, wait(KEYS[4])) end
if longest_wait > 0 then return longest_wait end
fail(mine, 2)
if has_address then fail(KEYS[4], 5) end
return 0
""",
    is_timed=True,
)

SUCCEED = Script(
    _HEAD
    + """
if redis.call('EXISTS', mine) == 1 then redis.call('HSET', mine, 'failures', 0, 'until', 0) end
if has_address then
    if redis.call('EXISTS', KEYS[4]) == 1 then
        local failures = tonumber(redis.call('HGET', KEYS[4], 'failures')) - 1
        redis.call('HSET', KEYS[4], 'failures', tostring(failures), 'until', 0)
    end
    redis.call('SET', KEYS[1], 1, 'PX', ARGV[8])
end
return 0
""",
)


class SharedLoginThrottle(LoginThrottle):
    """One record for all workers; while Redis is away, this worker's own, which knows the sign-ins it saw."""

    def __init__(self, gate: RedisGate, clock: Clock, *, name: str) -> None:
        """`name` tells one door's records from another's."""
        super().__init__(clock)
        self._gate = gate
        self._name = name

    def begin(self, account: str, address: str) -> None:
        try:
            wait_ms: int = self._run(BEGIN, account, address)
        except Unreachable:
            super().begin(account, address)
            return
        if wait_ms > 0:
            raise refused(wait_ms / 1000)

    def succeed(self, account: str, address: str) -> None:
        super().succeed(account, address)
        try:
            self._run(SUCCEED, account, address)
        except Unreachable:
            return  # the failures this attempt counted as are forgiven with time

    def _run(self, script: Script, account: str, address: str) -> int:
        link = self._gate.link
        partition = link.partition(self._name)  # one for all: a script touches the account's and the address's
        mine, whole = digest(account)[:32], digest(f"{account}\n{address}")[:32]
        kinds = (("known", whole), ("account", mine), ("own", whole), ("address", digest(address)[:32]))
        keys = [link.key(partition, "throttle", self._name, kind, name) for kind, name in kinds]
        patience: list[Value] = [
            round(value)
            for one in (ACCOUNT, ADDRESS)
            for value in (one.free, one.longest_s * 1000, one.forgiven_after_s * 1000)
        ]
        done: int = self._gate.run(script, keys, [1 if address else 0, *patience, KNOWN_MS])
        return done
