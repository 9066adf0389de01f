"""What is left of a turn when its log has gone: the ending, and the text the database kept."""

from __future__ import annotations

from typing import Any

from services.events import TurnEnded
from services.relay.log import Entry, Position, Rewind, Span, Watcher


class ArchivedLog:
    """A `TurnLog` of which only the last entry can be read; whoever asks for earlier ones gets the text instead."""

    __slots__ = ("_reasoning", "_text", "cache", "ended", "epoch", "fence", "length", "offset", "stamp", "turn_id")

    def __init__(self, turn_id: str, *, epoch: int, offset: int, text: str, reasoning: str, ended: TurnEnded) -> None:
        self.turn_id = turn_id
        self.fence = 1
        self.epoch = epoch
        self.offset = offset
        self.ended: TurnEnded | None = ended
        self.length = len(text)
        self.cache: Any = None
        self.stamp: tuple[int, float] | None = None
        self._text = text
        self._reasoning = reasoning

    def append(self, entry: Entry) -> int:
        raise ValueError(f"Turn {self.turn_id} has ended.")

    def rewind(self, keep: int) -> Rewind:
        raise ValueError(f"Turn {self.turn_id} has ended.")

    def locate(self, position: Position) -> tuple[int, Rewind | None]:
        if (position.epoch, position.offset) == (self.epoch, self.offset):
            return self.offset, None
        raise ValueError(f"Turn {self.turn_id} keeps only its ending.")

    def read(self, after: int, max_chars: int = 16_384) -> list[Span]:
        return [Span(self.offset, 1, "end", event=self.ended)] if after < self.offset else []

    def newest(self) -> tuple[str, str] | None:
        return None

    def answer(self) -> str:
        return self._text

    def reasoning(self) -> str:
        return self._reasoning

    def watch(self, watcher: Watcher) -> None:
        """Nothing will ever come."""

    def unwatch(self, watcher: Watcher) -> None:
        """Nothing was ever watched."""
