"""Turn logs in this process's memory: the default, and what a worker's own viewers read."""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections import OrderedDict
from typing import Any

from services.clock import Clock
from services.events import Notice, ReasoningDelta, TextDelta, TranscriptFinal, TurnEnded
from services.relay.log import Entry, Position, Rewind, Span, Watcher

_ANSWER_KINDS = ("text", "final")
"""What the answer, its length and its hash are made of."""


class _Block:
    """Neighbouring entries of one kind. Pieces are a list while the turn runs, one string with offsets after it."""

    __slots__ = ("chars", "ends", "event", "first", "kind", "pieces", "text")

    def __init__(self, first: int, kind: str, event: Notice | TurnEnded | None = None) -> None:
        self.first = first
        self.kind = kind
        self.event = event
        self.pieces: list[str] = []
        self.chars = 0
        self.text = ""
        self.ends: array[int] | None = None

    @property
    def count(self) -> int:
        if self.event is not None:
            return 1
        return len(self.pieces) if self.ends is None else len(self.ends)

    def pack(self) -> None:
        """Give back the memory of single pieces: 4 bytes an entry are left."""
        if self.event is None and self.ends is None:
            self.ends, end = array("I"), 0
            for piece in self.pieces:
                end += len(piece)
                self.ends.append(end)
            self.text, self.pieces = "".join(self.pieces), []

    def joined(self) -> str:
        if isinstance(self.event, TranscriptFinal):
            return self.event.text
        return "".join(self.pieces) if self.ends is None else self.text

    def slice(self, skip: int, max_chars: int) -> tuple[int, str]:
        """Pieces after the first `skip`: how many, and their text, at least one and about `max_chars` long."""
        if self.ends is not None:
            start = self.ends[skip - 1] if skip else 0
            stop = max(bisect_right(self.ends, start + max_chars), skip + 1)
            return stop - skip, self.text[start : self.ends[stop - 1]]
        if skip == len(self.pieces) - 1:  # the usual case: one new piece
            return 1, self.pieces[skip]
        taken: list[str] = []
        chars = 0
        for index in range(skip, len(self.pieces)):
            piece = self.pieces[index]
            if taken and chars + len(piece) > max_chars:
                break
            taken.append(piece)
            chars += len(piece)
        return len(taken), "".join(taken)

    def cut(self, keep: int) -> None:
        """Forget the entries after the first `keep`."""
        self.pieces = self.pieces[:keep]
        self.chars = sum(map(len, self.pieces))


class MemoryLog:
    """A `TurnLog` that lives and dies with the process."""

    __slots__ = (
        "_blocks", "_rewinds", "_watchers", "cache", "ended", "epoch", "fence", "length", "offset", "stamp", "turn_id"
    )  # fmt: skip

    def __init__(self, turn_id: str, epoch: int = 1) -> None:
        self.turn_id = turn_id
        self.fence = 1
        self.epoch = epoch
        self.offset = 0
        self.length = 0
        self.ended: TurnEnded | None = None
        self.cache: Any = None
        self.stamp: tuple[int, float] | None = None
        self._blocks: list[_Block] = []
        self._rewinds: list[Rewind] = []
        self._watchers: tuple[Watcher, ...] = ()

    def append(self, entry: Entry) -> int:
        if self.ended is not None:
            raise ValueError(f"Turn {self.turn_id} has ended.")
        self.offset += 1
        if isinstance(entry, (TextDelta, ReasoningDelta)):
            block = self._blocks[-1] if self._blocks else None
            if block is None or block.kind != entry.kind:
                block = _Block(self.offset, entry.kind)
                self._blocks.append(block)
            block.pieces.append(entry.text)
            block.chars += len(entry.text)
            if entry.kind == "text":
                self.length += len(entry.text)
            urgent = False
        else:
            self._blocks.append(_Block(self.offset, entry.kind, entry))
            if isinstance(entry, TranscriptFinal):
                self.length += len(entry.text)
            elif isinstance(entry, TurnEnded):
                self.ended = entry
                for block in self._blocks:
                    block.pack()
            urgent = True
        for watcher in self._watchers:
            watcher.wake(urgent)
        return self.offset

    def rewind(self, keep: int) -> Rewind:
        if self.ended is not None:
            raise ValueError(f"Turn {self.turn_id} has ended.")
        return self._void(self.epoch + 1, keep)

    def _void(self, epoch: int, keep: int) -> Rewind:
        """Begin `epoch` after offset `keep`."""
        while self._blocks and self._blocks[-1].first > keep:
            self._blocks.pop()
        if self._blocks and self._blocks[-1].event is None:
            self._blocks[-1].cut(keep - self._blocks[-1].first + 1)
        self.offset = keep
        self.length = self._length_at(keep)
        self.epoch = epoch
        rewind = Rewind(epoch, keep, self.length)
        self._rewinds.append(rewind)
        for watcher in self._watchers:
            watcher.wake(True)
        return rewind

    def locate(self, position: Position) -> tuple[int, Rewind | None]:
        if position.epoch > self.epoch or (position.epoch == self.epoch and position.offset > self.offset):
            raise ValueError(f"Position {position.epoch}:{position.offset} is ahead of turn {self.turn_id}.")
        if position.epoch == self.epoch:
            return position.offset, None
        offset = min([position.offset, *(r.offset for r in self._rewinds if r.epoch > position.epoch)])
        return offset, Rewind(self.epoch, offset, self._length_at(offset))

    def read(self, after: int, max_chars: int = 16_384) -> list[Span]:
        if after >= self.offset:
            return []
        blocks = self._blocks
        index = len(blocks) - 1
        if blocks[index].first > after + 1:
            index = bisect_right(blocks, after + 1, key=lambda block: block.first) - 1
        spans: list[Span] = []
        while index < len(blocks) and max_chars > 0:
            block = blocks[index]
            skip = max(after + 1 - block.first, 0)
            if block.event is not None:
                spans.append(Span(block.first, 1, block.kind, event=block.event))
                index += 1
                continue
            count, text = block.slice(skip, max_chars)
            spans.append(Span(block.first + skip, count, block.kind, text))
            max_chars -= len(text)
            if skip + count < block.count:
                break
            index += 1
        return spans

    def newest(self) -> tuple[str, str] | None:
        block = self._blocks[-1]
        return (block.kind, block.pieces[-1]) if block.pieces else None

    def answer(self) -> str:
        return "".join(block.joined() for block in self._blocks if block.kind in _ANSWER_KINDS)

    def reasoning(self) -> str:
        return "".join(block.joined() for block in self._blocks if block.kind == "reasoning")

    def watch(self, watcher: Watcher) -> None:
        if watcher not in self._watchers:
            self._watchers = (*self._watchers, watcher)

    def unwatch(self, watcher: Watcher) -> None:
        self._watchers = tuple(other for other in self._watchers if other is not watcher)

    def pieces(self, after: int, max_chars: int) -> list[tuple[int, str, list[str], Notice | TurnEnded | None]]:
        """What follows offset `after` as it was appended: last offset, kind, and either pieces or the one event."""
        found: list[tuple[int, str, list[str], Notice | TurnEnded | None]] = []
        index = bisect_right(self._blocks, after + 1, key=lambda block: block.first) - 1
        for block in self._blocks[max(index, 0) :]:
            skip = max(after + 1 - block.first, 0)
            if skip >= block.count:
                continue
            pieces = self._pieces(block)[skip:] if block.event is None else []
            found.append((block.first + block.count - 1, block.kind, pieces, block.event))
            max_chars -= sum(map(len, pieces))
            if max_chars < 0:
                break
        return found

    @property
    def chars(self) -> int:
        """Text and reasoning it holds."""
        return sum(block.chars for block in self._blocks)

    @property
    def watchers(self) -> int:
        return len(self._watchers)

    def _length_at(self, offset: int) -> int:
        length = 0
        for block in self._blocks:
            if block.first > offset:
                break
            if block.kind in _ANSWER_KINDS:
                whole = block.first + block.count - 1 <= offset
                length += (
                    len(block.joined()) if whole else sum(map(len, self._pieces(block)[: offset - block.first + 1]))
                )
        return length

    @staticmethod
    def _pieces(block: _Block) -> list[str]:
        if block.ends is None:
            return block.pieces
        starts = [0, *block.ends[:-1]]
        return [block.text[start:end] for start, end in zip(starts, block.ends, strict=True)]


MAX_KEPT_CHARS = 32_000_000
"""Text of ended logs kept for replay, 32 to 128 MB; beyond it the oldest go early, and the database answers."""


class MemoryLogs:
    """Every log of this process: running ones, and ended ones for `ttl_s` seconds more."""

    def __init__(self, clock: Clock, ttl_s: float, max_kept_chars: int = MAX_KEPT_CHARS) -> None:
        self._clock = clock
        self._ttl_s = ttl_s
        self._max_kept_chars = max_kept_chars
        self._kept_chars = 0
        self._logs: dict[str, MemoryLog] = {}
        self._ended: OrderedDict[str, float] = OrderedDict()

    def open(self, turn_id: str, order: bytes = b"-") -> MemoryLog:
        self._forget_old()
        log = self._logs[turn_id] = MemoryLog(turn_id)
        return log

    def put(self, log: MemoryLog) -> None:
        """Keep a log that was made elsewhere, until it is released."""
        self._logs[log.turn_id] = log

    def drop(self, turn_id: str) -> None:
        """Forget a log that has not been released."""
        if turn_id not in self._ended:
            self._logs.pop(turn_id, None)

    def find(self, turn_id: str) -> MemoryLog | None:
        self._forget_old()
        return self._logs.get(turn_id)

    def release(self, turn_id: str) -> None:
        if turn_id in self._logs and turn_id not in self._ended:
            self._ended[turn_id] = self._clock.monotonic() + self._ttl_s
            self._kept_chars += self._logs[turn_id].chars
        self._forget_old()

    def __len__(self) -> int:
        return len(self._logs)

    def _forget_old(self) -> None:
        now = self._clock.monotonic()
        while self._ended:
            turn_id, until = next(iter(self._ended.items()))
            if until > now and self._kept_chars <= self._max_kept_chars:
                return
            del self._ended[turn_id]
            self._kept_chars -= self._logs.pop(turn_id).chars
