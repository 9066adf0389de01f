"""Everything that may refuse a turn before it touches the database."""

from __future__ import annotations

from services.errors import RateLimited, ServerBusy
from services.quota.rate_limit import RateLimit
from services.turns.places import Places


class Admission:
    """Limits running turns and starts per user; whether the server is about to stop is this process's own."""

    def __init__(self, *, starts: RateLimit | None, max_running: int, places: Places | None = None) -> None:
        """`starts` is None where rate limits are off; `places` are this process's by default."""
        self._starts = starts
        self._max_running = max_running if starts is not None else None
        self._places = places or Places()
        self._draining = False

    def enter(self, user_id: str) -> None:
        """Let one more turn of this user in; every `enter` is paid back by one `leave`.

        Yields only where the limits are shared with other workers.

        Raises:
            ServerBusy: The server is about to stop.
            RateLimited: Too many turns at once, or too many starts in a minute.
        """
        self._check_draining()
        if not self._places.take(user_id, self._max_running):
            raise RateLimited(f"You have {self._max_running} answers running; wait for one to end.", retry_after_s=2)
        try:
            if self._starts is not None and (wait_s := self._starts.take(user_id)) > 0:
                raise RateLimited("Too many questions in a minute.", retry_after_s=round(wait_s, 1))
            self._check_draining()  # it may have begun meanwhile
        except BaseException:
            self._places.free(user_id)
            raise

    def adopt(self, user_id: str) -> None:
        """Count a turn that another worker has let in, and this one goes on with. Never refuses, never yields."""
        self._places.take(user_id, None)

    def leave(self, user_id: str) -> None:
        """Pay an `enter` or an `adopt` back. Never yields."""
        self._places.free(user_id)

    @property
    def draining(self) -> bool:
        """Whether further turns are refused, because the server is about to stop."""
        return self._draining

    def drain(self) -> None:
        """Refuse every further turn."""
        self._draining = True

    def _check_draining(self) -> None:
        if self._draining:
            raise ServerBusy("The server is restarting; try again in a moment.", retry_after_s=2)
