"""How a caller goes on after an acknowledgement: which log, from where, and what it must replace."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from services.relay.log import Position, TurnLog


@dataclass(frozen=True, slots=True)
class Following:
    """A turn as one caller may follow it.

    Attributes:
        start: What the caller has; entries after it follow. Its epoch may be older than the log's: the viewer is
            then told `turn_rewind` first.
        kept: The last offset of `start` that is still valid in the log's epoch.
        text: Set when the position asked for is no longer kept: the answer up to `kept`, to replace the caller's.
    """

    log: TurnLog
    conversation: str
    message: str
    start: Position
    kept: int
    text: str | None = None
    reasoning: str = ""

    @property
    def status(self) -> str:
        return self.log.ended.status if self.log.ended is not None else "running"

    def text_to_wire(self) -> dict[str, Any]:
        """`text` for the acknowledgement, and `reasoning` beside it; empty when everything is replayed."""
        if self.text is None:
            return {}
        return {"from": self.kept, "text": self.text, **({"reasoning": self.reasoning} if self.reasoning else {})}


def follow(log: TurnLog, position: Position, *, conversation: str, message: str) -> Following:
    """Follow `log` from `position`, or from where its text can be given whole."""
    try:
        kept, _ = log.locate(position)
    except ValueError:
        # A log that has ended keeps its last entry apart, so that the caller sees the ending as an entry.
        kept = log.offset - 1 if log.ended is not None else log.offset
        start = Position(log.epoch, kept)
        return Following(log, conversation, message, start, kept, log.answer(), log.reasoning())
    return Following(log, conversation, message, position, kept)
