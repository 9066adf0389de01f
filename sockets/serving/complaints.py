"""Log lines about misbehaving peers, few enough that nobody can fill the disk with them."""

from __future__ import annotations

import logging
from time import monotonic

log = logging.getLogger("parley.serving")


class Complaints:
    """Writes the first complaint of a kind at once, and how many more there were with the next line of that kind.

    Kinds are fixed texts of this package, never a peer's words.
    """

    def __init__(self, every_s: float = 30.0) -> None:
        self._every_s = every_s
        self._kinds: dict[str, tuple[float, int]] = {}  # when the last line was written, how many were held back since

    def add(self, kind: str, address: str) -> None:
        """A connection was closed for `kind`."""
        self._count("Closed a connection", kind, address)

    def note(self, kind: str, address: str) -> None:
        """Something was ignored, the connection lives."""
        self._count("Ignored", kind, address)

    def _count(self, done: str, kind: str, address: str) -> None:
        now = monotonic()
        written_at, held_back = self._kinds.get(kind, (now - self._every_s, 0))
        if now - written_at < self._every_s:
            self._kinds[kind] = (written_at, held_back + 1)
            return
        self._kinds[kind] = (now, 0)
        log.warning("%s from %s: %s (%d more like it before).", done, address, kind, held_back)
