"""When each piece left the vendor, in a file that two processes map."""

from __future__ import annotations

import mmap
import time
from pathlib import Path

_BYTES = 8


class SentTimes:
    """A table of monotonic times, one row a stream and one column a piece; 0 is not yet sent.

    The monotonic clock is the same in every process of one machine, so the reader may subtract.
    """

    def __init__(self, path: Path, *, streams: int, pieces: int) -> None:
        size = streams * pieces * _BYTES
        with path.open("a+b") as file:
            file.truncate(size)
            self._table = memoryview(mmap.mmap(file.fileno(), size)).cast("d")
        self._pieces = pieces

    def mark(self, stream: int, position: int) -> None:
        self._table[stream * self._pieces + position] = time.monotonic()

    def at(self, stream: int, position: int) -> float:
        return self._table[stream * self._pieces + position]

    def sold(self, since: float, until: float) -> int:
        """How many pieces left within a span of the monotonic clock."""
        return sum(since <= moment < until for moment in self._table)
