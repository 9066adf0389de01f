"""How long to wait before asking a vendor again."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Backoff:
    """Doubling waits with jitter, so that turns which failed together do not come back together.

    Attributes:
        base_s: The wait after the first failure, before jitter.
        cap_s: No wait of our own is longer.
        patience_s: The longest wait a vendor may ask for; beyond it asking again is given up.
        jitter: Part of the wait that is random, 0 to 1.
    """

    base_s: float = 0.4
    cap_s: float = 4.0
    patience_s: float = 8.0
    jitter: float = 0.5
    random: Callable[[], float] = random.random

    def wait_s(self, failures: int, asked_s: float | None = None) -> float | None:
        """Seconds to wait after so many failures (1 or more); None when the vendor asks for too long a wait.

        A vendor's own `Retry-After` is never undercut; the jitter comes on top of it.
        """
        if asked_s is not None and asked_s > self.patience_s:
            return None
        own: float = min(self.cap_s, self.base_s * 2 ** min(failures - 1, 16))
        spread = own * self.jitter * self.random()
        return asked_s + spread if asked_s is not None else own - spread
