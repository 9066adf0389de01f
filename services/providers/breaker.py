"""A circuit breaker: a provider that keeps failing to begin is left alone for a while."""

from __future__ import annotations

from services.clock import Clock, SystemClock


class Breaker:
    """Counts failures in a row; shared by the turns of one process."""

    def __init__(self, *, failures: int = 5, rest_s: float = 15.0, clock: Clock | None = None) -> None:
        self.rest_s = rest_s
        self._limit = failures
        self._clock = clock or SystemClock()
        self._failures = 0
        self._trial_at = 0.0

    @property
    def is_open(self) -> bool:
        """Whether the provider is resting after failures."""
        return self.is_broken and self.left_s > 0

    @property
    def is_broken(self) -> bool:
        """Whether it failed too often, and has not begun to answer since."""
        return self._failures >= self._limit

    @property
    def left_s(self) -> float:
        """Seconds of rest left, of a provider that is broken."""
        return max(0.0, self._trial_at - self._clock.monotonic())

    def allows(self) -> bool:
        """Whether to ask now. While resting is over but success not yet seen, one caller per rest is let through.

        Yields only where rests are shared with other workers.
        """
        if not self.is_broken:
            return True
        now = self._clock.monotonic()
        if now < self._trial_at:
            return False
        self._trial_at = now + self.rest_s
        return True

    def failed(self) -> None:
        """The provider did not begin to answer, though it was not at odds with the request. Never yields."""
        self._failures += 1
        if self.is_broken:
            self._trial_at = self._clock.monotonic() + self.rest_s

    def succeeded(self) -> None:
        """The provider began to answer. Never yields."""
        self._failures = 0

    def learn(self, left_s: float | None) -> None:
        """Take over what others know: the provider rests so long, or is well (None). Never yields."""
        if left_s is not None:
            self._failures = max(self._failures, self._limit)
            self._trial_at = self._clock.monotonic() + left_s
        elif self.is_broken:
            self._failures = 0
