"""How many turns each user has running, counted by this worker."""

from __future__ import annotations

from collections import Counter


class Places:
    """One place for each running turn of a user."""

    def __init__(self) -> None:
        self._taken: Counter[str] = Counter()

    def take(self, user_id: str, most: int | None) -> bool:
        """Take a place when fewer than `most` are taken; None for no limit. Each is given back by one `free`.

        Yields only where places are shared with other workers.
        """
        if most is not None and self._taken[user_id] >= most:
            return False
        self._taken[user_id] += 1
        return True

    def free(self, user_id: str) -> None:
        """Give one of the user's back. Never yields."""
        self._taken[user_id] -= 1
        if self._taken[user_id] <= 0:
            del self._taken[user_id]

    def close(self) -> None:
        """Let the places that are still taken go."""
