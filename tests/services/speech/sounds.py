"""A whole sound as a recogniser reads it."""

from __future__ import annotations

import random
from array import array


class Sound:
    """An `Audio` that is all there. `pauses`: places in it at which the speaker pauses once."""

    def __init__(self, pcm: bytes, *, rate: int = 16_000, pauses: tuple[int, ...] = ()) -> None:
        self.rate = rate
        self.at = 0
        self._pcm = pcm
        self._pauses = list(pauses)

    def read(self, size: int, timeout_s: float | None = None) -> bytes | None:
        if timeout_s is not None and self._pauses and self.at >= self._pauses[0]:
            self._pauses.pop(0)
            return None
        piece = self._pcm[self.at : self.at + size]
        self.at += len(piece)
        return piece


def noise(seconds: float, rate: int, seed: int = 1) -> bytes:
    """Loud, and never twice the same."""
    numbers = random.Random(seed)
    return array("h", [numbers.randrange(-9_000, 9_000) for _ in range(int(seconds * rate))]).tobytes()


def silence(seconds: float, rate: int) -> bytes:
    return bytes(int(seconds * rate) * 2)
