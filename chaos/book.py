"""What one viewer has seen of one turn, kept by the viewer's rule and checked as it goes."""

from __future__ import annotations

import hashlib
from array import array
from enum import Enum
from typing import Any

FRUITLESS = 4
"""Attaches at one place that did not bring what follows it; then the hole is called one."""


class Step(Enum):
    """What became of an event."""

    APPLIED = "it followed the last one"
    OLD = "it had been seen, or was of an older epoch"
    GAP = "something is missing before it: attach"


class Book:
    """The viewer's own book-keeping: `epoch`, `last`, the text, and everything that cannot be right.

    Attributes:
        faults: Broken promises, as sentences.
        times: When each applied event came (`time.monotonic`).
        lost: When the line it came over broke.
        rewinds: Epoch, offset and length of each rewind.
        attaches: How often a gap was healed.
        repeats: Events that had been seen.
    """

    def __init__(self, turn: str) -> None:
        self.turn = turn
        self.epoch, self.last, self.length = 1, 0, 0
        self.end: dict[str, Any] | None = None
        self.faults: list[str] = []
        self.times = array("d")
        self.lost: list[float] = []
        self.rewinds: list[tuple[int, int, int]] = []
        self.attaches = self.repeats = self.pieces = 0
        self._parts: list[str] = []
        self._lengths: dict[int, int] = {0: 0}
        self._gap_at: tuple[int, int] | None = None
        self._fruitless = 0

    @property
    def text(self) -> str:
        return "".join(self._parts)

    def take(self, event: str, body: dict[str, Any], now: float) -> Step:
        """Apply one event of the turn, or say why not."""
        epoch, offset = body["epoch"], body["offset"]
        through = offset + body.get("count", 1) - 1
        if self.end is not None:
            return self._after_the_end(event, body, through)
        if epoch < self.epoch:
            return self._old()
        if event == "turn_rewind":
            return self._rewind(epoch, offset, body["length"], now)
        if epoch == self.epoch and through <= self.last:
            return self._old()
        if epoch > self.epoch or offset != self.last + 1:
            return Step.GAP
        self.last = through
        self.times.append(now)
        if event == "turn_delta" and body["kind"] == "text":
            self._parts.append(body["text"])
            self.length += len(body["text"])
            self.pieces += body["count"]
        self._lengths[through] = self.length
        if event == "turn_end":
            self._close(body)
        return Step.APPLIED

    def gap(self) -> bool:
        """A gap was met: whether an attach may still heal it. Called once for each attach."""
        here = (self.epoch, self.last)
        self._fruitless = self._fruitless + 1 if here == self._gap_at else 1
        self._gap_at = here
        if self._fruitless > FRUITLESS:
            if self._fruitless == FRUITLESS + 1:
                self.faults.append(f"what follows {self.epoch}:{self.last} never came, {FRUITLESS} attaches long")
            return False
        self.attaches += 1
        return True

    def replace(self, epoch: int, offset: int, text: str) -> None:
        """The place is no longer kept: take the whole text up to `offset` instead."""
        self.epoch, self.last, self.length = epoch, offset, len(text)
        self._parts = [text]
        self._lengths = {0: 0, offset: len(text)}

    def _old(self) -> Step:
        self.repeats += 1
        return Step.OLD

    def _rewind(self, epoch: int, offset: int, length: int, now: float) -> Step:
        if epoch == self.epoch:
            return self._old()
        if offset > self.last:
            return Step.GAP
        known = self._lengths.get(offset)
        if length > self.length or (known is not None and known != length):
            self.faults.append(f"rewind to {epoch}:{offset} keeps {length} code points, of {known} there")
        self._parts = [self.text[:length]]
        self._lengths = {at: had for at, had in self._lengths.items() if at <= offset} | {offset: length}
        self.epoch, self.last, self.length = epoch, offset, length
        self.rewinds.append((epoch, offset, length))
        self.times.append(now)
        return Step.APPLIED

    def _close(self, end: dict[str, Any]) -> None:
        self.end = end
        digest = hashlib.sha256(self.text.encode()).hexdigest()
        if end["length"] != self.length or end["sha256"] != digest:
            self.faults.append(f"turn_end says {end['length']} code points, {self.length} came, or other ones")

    def _after_the_end(self, event: str, body: dict[str, Any], through: int) -> Step:
        if event == "turn_end" and body != self.end:
            self.faults.append("a second, different turn_end")
        elif event == "turn_rewind" or body["epoch"] > self.epoch or through > self.last:
            self.faults.append(f"{event} {body['epoch']}:{body['offset']} after turn_end")
        return self._old()
