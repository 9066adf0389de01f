"""A circuit breaker: a provider that keeps failing to begin is left alone for a while."""

from __future__ import annotations

from services.clock import Clock, SystemClock


class Breaker:
    """Counts failures in a row; shared by the turns of one process. Never yields."""

    def __init__(self, *, failures: int = 5, rest_s: float = 15.0, clock: Clock | None = None) -> None:
        self._limit = failures
        self._rest_s = rest_s
        self._clock = clock or SystemClock()
        self._failures = 0
        self._trial_at = 0.0

    @property
    def is_open(self) -> bool:
        """Whether the provider is resting after failures."""
        return self._failures >= self._limit and self._clock.monotonic() < self._trial_at

    def allows(self) -> bool:
        """Whether to ask now. While resting is over but success not yet seen, one caller per rest is let through."""
        if self._failures < self._limit:
            return True
        now = self._clock.monotonic()
        if now < self._trial_at:
            return False
        self._trial_at = now + self._rest_s
        return True

    def failed(self) -> None:
        """The provider did not begin to answer, though it was not at odds with the request."""
        self._failures += 1
        if self._failures >= self._limit:
            self._trial_at = self._clock.monotonic() + self._rest_s

    def succeeded(self) -> None:
        """The provider began to answer."""
        self._failures = 0
