"""Everything that may refuse a turn before it touches the database."""

from __future__ import annotations

from collections import Counter

from services.errors import RateLimited, ServerBusy
from services.quota.rate_limit import RateLimit


class Admission:
    """Counts running turns and starts per user. State is this process's; `enter` never yields."""

    def __init__(self, *, starts: RateLimit | None, max_running: int) -> None:
        self._starts = starts
        self._max_running = max_running if starts is not None else None
        self._running: Counter[str] = Counter()
        self._draining = False

    def enter(self, user_id: str) -> None:
        """Let one more turn of this user in; every `enter` is paid back by one `leave`.

        Raises:
            ServerBusy: The server is about to stop.
            RateLimited: Too many turns at once, or too many starts in a minute.
        """
        if self._draining:
            raise ServerBusy("The server is restarting; try again in a moment.", retry_after_s=2)
        if self._max_running is not None and self._running[user_id] >= self._max_running:
            raise RateLimited(
                f"You have {self._max_running} answers running; wait for one to end.", retry_after_s=2
            )
        if self._starts is not None and (wait_s := self._starts.take(user_id)) > 0:
            raise RateLimited("Too many questions in a minute.", retry_after_s=round(wait_s, 1))
        self._running[user_id] += 1

    def leave(self, user_id: str) -> None:
        self._running[user_id] -= 1
        if self._running[user_id] <= 0:
            del self._running[user_id]

    @property
    def draining(self) -> bool:
        """Whether further turns are refused, because the server is about to stop."""
        return self._draining

    def drain(self) -> None:
        """Refuse every further turn."""
        self._draining = True
