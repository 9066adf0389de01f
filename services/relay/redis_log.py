"""A turn's log that other workers can read and take over: in memory for its viewers here, behind that in Redis.

The Redis Stream of a turn has one entry for each run of pieces of one kind, and one for each other entry; its id is
`<epoch>-<last offset>`, a position as viewers know it. A new epoch is `<epoch>-0` with the last offset that stays
valid. The worker that owns the turn writes it (`journal.py`); a worker whose viewers follow it has a copy of the same
class that is fed by `reader.py`. A log can change sides: an owner that was overtaken becomes a copy of what the other
worker writes, and its viewers are told by `turn_rewind` what is void.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from services.relay.codec import REWIND, packed, packed_pieces, unpacked
from services.relay.log import Entry, Overtaken, Position, Rewind
from services.relay.memory_log import MemoryLog

MAX_CHARS_AT_ONCE = 65_536
"""Of one turn in one batch."""


class Writer(Protocol):
    """What an owned log tells of its news."""

    def queue(self, log: RedisLog) -> None:
        """There is something to write. Never yields."""


class RedisLog(MemoryLog):
    """A `TurnLog` in Redis, as one worker has it. No method yields.

    Attributes:
        fence: Grows with each worker that takes the turn; what is written under an older one is refused.
        order: What the turn was asked, for a worker that takes it over; `-` for one that cannot be.
        patience_ms: How long the turn waits for its user, who alone can go on with it, when its worker is gone.
        writer: Who writes it, while this worker owns the turn; None for a copy.
        sent: Up to where Redis is known to have it.
        known: Whether Redis knows the turn at all.
        queued: Whether `writer` has been told of news it has not looked at yet.
        on_overtaken: Called when another worker turns out to own the turn.
    """

    __slots__ = (
        "has_new_order", "known", "on_overtaken", "order", "patience_ms", "queued", "sent", "writer"
    )  # fmt: skip

    def __init__(self, turn_id: str, *, fence: int = 1, order: bytes = b"-", writer: Writer | None = None) -> None:
        super().__init__(turn_id)
        self.fence = fence
        self.order = order
        self.has_new_order = False
        self.patience_ms = 0
        self.writer = writer
        self.sent = Position(1, 0)
        self.known = False
        self.queued = False
        self.on_overtaken: Callable[[], None] = _nothing

    def append(self, entry: Entry) -> int:
        """As `TurnLog.append`.

        Raises:
            Overtaken: Another worker owns the turn.
        """
        if (writer := self.writer) is None:
            raise Overtaken(self.turn_id)
        offset = super().append(entry)
        if not self.queued:
            writer.queue(self)
        return offset

    def rewind(self, keep: int) -> Rewind:
        if (writer := self.writer) is None:
            raise Overtaken(self.turn_id)
        rewind = super().rewind(keep)
        writer.queue(self)
        return rewind

    def unsent(self) -> tuple[list[tuple[str, str, bytes]], Position]:
        """What Redis does not have, as id, kind and payload; and up to where it will have it then."""
        entries: list[tuple[str, str, bytes]] = []
        after = self.sent.offset
        for rewind in self._rewinds:
            if rewind.epoch > self.sent.epoch:
                entries.append((f"{rewind.epoch}-0", REWIND, b"%d" % rewind.offset))
                after = min(after, rewind.offset)
        for last, kind, pieces, event in self.pieces(after, MAX_CHARS_AT_ONCE):
            payload = packed(event) if event is not None else packed_pieces(pieces)
            entries.append((f"{self.epoch}-{last}", kind, payload))
            after = last
        return entries, Position(self.epoch, after)

    def renew_order(self, order: bytes) -> None:
        """What a worker that takes the turn over from here needs; it goes with the next batch."""
        self.order, self.has_new_order = order, True

    @property
    def is_sent(self) -> bool:
        """Whether Redis has everything."""
        return self.sent == Position(self.epoch, self.offset)

    def behind(self, name: str) -> None:
        """Redis has forgotten what came after the entry `name`: it must be sent again."""
        epoch, _, offset = name.partition("-")
        kept = Position(max(int(epoch), 1), int(offset))
        if kept.epoch == self.epoch:
            self.sent = Position(kept.epoch, min(kept.offset, self.offset))
        else:
            self.sent = kept

    def receive(self, name: str, kind: str, payload: bytes) -> None:
        """Take over one entry of the stream; one that is here already changes nothing.

        Raises:
            ValueError, TypeError, KeyError: It does not fit: somebody else wrote it, or entries before it are missing.
        """
        epoch, last = (int(part) for part in name.split("-"))
        if kind == REWIND:
            if epoch > self.epoch and self.ended is None:
                self._void(epoch, min(int(payload), self.offset))
        elif epoch == self.epoch:
            entries = unpacked(kind, payload)
            known = self.offset - (last - len(entries))
            if known < 0:
                raise ValueError(f"Entries before {name} of turn {self.turn_id} are missing.")
            for entry in entries[known:]:
                super().append(entry)
        elif epoch > self.epoch:
            raise ValueError(f"Nothing tells how epoch {epoch} of turn {self.turn_id} began.")
        self.sent = Position(epoch, last)

    def lose(self) -> None:
        """Become a copy: another worker owns the turn, or will."""
        if self.writer is not None:
            self.writer = None
            self.on_overtaken()


def _nothing() -> None:
    pass
