"""How often something may be done: a token bucket a key, in memory."""

from __future__ import annotations

from collections import OrderedDict

from services.clock import Clock


class RateLimit:
    """Lets each key act `per_minute` times a minute, `burst` of them at once.

    Holds at most `max_keys`; the one unused longest is forgotten first, which gives it a full bucket.
    """

    def __init__(self, clock: Clock, *, per_minute: float, burst: int, max_keys: int = 50_000) -> None:
        self._clock = clock
        self._per_second = per_minute / 60
        self._burst = burst
        self._max_keys = max_keys
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()  # left, when that was

    def take(self, key: str) -> float:
        """Take one; 0.0 when it was there, else the seconds until it would be (nothing is taken then).

        Yields only where the bucket is shared with other workers.
        """
        now = self._clock.monotonic()
        left, since = self._buckets.pop(key, (float(self._burst), now))
        left = min(self._burst, left + (now - since) * self._per_second)
        wait = 0.0 if left >= 1 else (1 - left) / self._per_second
        self._buckets[key] = (left - 1 if wait == 0 else left, now)
        if len(self._buckets) > self._max_keys:
            self._buckets.popitem(last=False)
        return wait
