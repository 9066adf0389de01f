"""What the simulated recognisers hear: a word for every half second, made of its bytes, so that tests know it."""

from __future__ import annotations

from array import array
from zlib import crc32

QUIET_PEAK = 400
WORD_MS = 500


def word_of(pcm: bytes) -> str:
    """Always the same word for the same bytes; nothing for silence."""
    if is_quiet(pcm):
        return ""
    number = crc32(pcm)
    return "".join(chr(0x4E00 + (number >> shift) % 20_000) for shift in (0, 8))


def is_quiet(pcm: bytes) -> bool:
    """Whether nobody could hear it."""
    samples = array("h", pcm[: len(pcm) & ~1])
    return not samples or max(max(samples, default=0), -min(samples, default=0)) < QUIET_PEAK


class Hearing:
    """Cuts what comes into words.

    Attributes:
        pcm: All that came.
        words: One for each half second that is complete, as (start in ms, end in ms, word).
        quiet_ms: Silence since the last sound.
    """

    def __init__(self, rate: int) -> None:
        self.rate = rate
        self.pcm = bytearray()
        self.words: list[tuple[int, int, str]] = []
        self.quiet_ms = 0.0
        self._size = rate * WORD_MS // 1000 * 2
        self._cut = 0

    @property
    def ms(self) -> int:
        """How long all of it lasts."""
        return len(self.pcm) * 1000 // (2 * self.rate)

    def take(self, piece: bytes) -> list[tuple[int, int, str]]:
        """The words this piece completed."""
        self.pcm += piece
        lasts_ms = len(piece) * 500 / self.rate
        self.quiet_ms = self.quiet_ms + lasts_ms if is_quiet(piece) else 0.0
        return self._complete(self._size)

    def finish(self) -> list[tuple[int, int, str]]:
        """What is left, as a word of its own."""
        return self._complete(1)

    def _complete(self, at_least: int) -> list[tuple[int, int, str]]:
        fresh: list[tuple[int, int, str]] = []
        while len(self.pcm) - self._cut >= at_least:
            piece = bytes(self.pcm[self._cut : self._cut + self._size])
            start = self._cut * 500 // self.rate
            self._cut += len(piece)
            if word := word_of(piece):
                fresh.append((start, start + len(piece) * 500 // self.rate, word))
        self.words += fresh
        return fresh


def words_in(pcm: bytes, rate: int) -> str:
    """The transcript of a sound that is heard in one go."""
    hearing = Hearing(rate)
    return "".join(word for _, _, word in [*hearing.take(pcm), *hearing.finish()])
