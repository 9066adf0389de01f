"""Who came first with something that only one may use, in memory."""

from __future__ import annotations

from collections import OrderedDict

from services.clock import Clock


class FirstCome:
    """Remembers who brought a thing first, for `life_s` from then on; of too many the oldest is forgotten."""

    def __init__(self, clock: Clock, *, life_s: float, most: int = 20_000) -> None:
        self._clock = clock
        self._life_s = life_s
        self._most = most
        self._first: OrderedDict[str, tuple[str, float]] = OrderedDict()

    def is_first(self, thing: str, who: str) -> bool:
        """Whether nobody else brought it before. Yields only where it is shared with other workers."""
        now = self._clock.monotonic()
        while self._first and (
            len(self._first) >= self._most or next(iter(self._first.values()))[1] <= now - self._life_s
        ):
            self._first.popitem(last=False)
        return self._first.setdefault(thing, (who, now))[0] == who
