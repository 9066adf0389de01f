"""How often something may happen."""

from __future__ import annotations

from time import monotonic


class TokenBucket:
    """`per_s` a second on average, `burst` at once."""

    __slots__ = ("_at", "_burst", "_left", "_per_s")

    def __init__(self, per_s: float, burst: float) -> None:
        self._per_s = per_s
        self._burst = burst
        self._left = burst
        self._at = monotonic()

    def take(self, count: int = 1) -> bool:
        """Whether `count` more are within the rate. Never yields."""
        left = self._left - count
        if left < 0:
            now = monotonic()
            left = min(self._burst, self._left + (now - self._at) * self._per_s) - count
            self._at = now
            if left < 0:
                self._left = left + count
                return False
        self._left = left
        return True
