"""Slowing down who guesses passwords: per account and per address, in memory."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

from services.clock import Clock
from services.errors import RateLimited


@dataclass(frozen=True, slots=True)
class Patience:
    """How many failures are free, how long the longest wait is, how soon one failure is forgiven."""

    free: int
    longest_s: float
    forgiven_after_s: float


ACCOUNT = Patience(free=5, longest_s=60, forgiven_after_s=60)
"""Guessing costs a minute a try; the owner, when an attacker keeps the account busy, waits no longer than that."""
ADDRESS = Patience(free=30, longest_s=300, forgiven_after_s=20)
"""Many people may share one address."""
_MAX_KEYS = 50_000


@dataclass(slots=True)
class _Record:
    failures: float
    at: float
    blocked_until: float


class LoginThrottle:
    """Counts failed sign-ins. An attempt counts as failed from its start, so that many at once count.

    From an address that has signed in to an account before, its own failures count for that account instead of
    everybody's: a stranger's guessing does not shut the owner out.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._records: OrderedDict[tuple[str, ...], _Record] = OrderedDict()
        self._known: OrderedDict[tuple[str, str], None] = OrderedDict()

    def begin(self, account: str, address: str) -> None:
        """Count an attempt. Yields only where the records are shared with other workers.

        Raises:
            RateLimited: Too many failures; this attempt was not counted.
        """
        now = self._clock.monotonic()
        keys = self._keys(account, address)
        wait_s = max((self._wait(key, now) for key in keys), default=0.0)
        if wait_s > 0:
            raise refused(wait_s)
        for key, patience in keys.items():
            self._fail(key, patience, now)

    def succeed(self, account: str, address: str) -> None:
        """The attempt was right: forgive the account all, the address this one."""
        keys = self._keys(account, address)
        for key, patience in keys.items():
            record = self._records.get(key)
            if record is None:
                continue
            record.blocked_until = 0.0
            record.failures = record.failures - 1 if patience is ADDRESS else 0
        if address:
            self._known[(account, address)] = None
            self._known.move_to_end((account, address))
            if len(self._known) > _MAX_KEYS:
                self._known.popitem(last=False)

    def _keys(self, account: str, address: str) -> dict[tuple[str, ...], Patience]:
        if not address:
            return {("account", account): ACCOUNT}
        known = (account, address) in self._known
        mine = ("known", account, address) if known else ("account", account)
        return {mine: ACCOUNT, ("address", address): ADDRESS}

    def _wait(self, key: tuple[str, ...], now: float) -> float:
        record = self._records.get(key)
        return record.blocked_until - now if record is not None else 0.0

    def _fail(self, key: tuple[str, ...], patience: Patience, now: float) -> None:
        record = self._records.pop(key, None) or _Record(0.0, now, 0.0)
        record.failures = max(0.0, record.failures - (now - record.at) / patience.forgiven_after_s) + 1
        record.at = now
        excess = record.failures - patience.free
        if excess > 0:
            record.blocked_until = now + min(2.0**excess, patience.longest_s)
        self._records[key] = record
        if len(self._records) > _MAX_KEYS:
            self._records.popitem(last=False)


def refused(wait_s: float) -> RateLimited:
    """What whoever failed too often is told."""
    return RateLimited("Too many failed sign-ins. Wait a moment.", retry_after_s=round(wait_s, 1))
