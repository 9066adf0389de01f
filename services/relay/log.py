"""The contract of a turn's log: dense offsets, epochs, exact replay.

A log is a list of entries numbered from 1 without a hole. One runner appends; any number of watchers read from
any position. Three promises hold for every implementation, and `tests/contracts/test_turn_log.py` asks for them:

- **Dense.** `append` gives the next offset. Nothing is appended after `TurnEnded`, which comes exactly once.
- **Exact.** `read(after)` gives what follows `after`, whole and in order, joined where kinds agree. A position of
  an older epoch is first brought back by `locate` to the last offset that is still valid.
- **At once.** A watcher's `wake` is called inside `append`, before it returns. Neither ever yields to the hub, so
  that a reader that finds nothing new and then waits cannot miss an entry in between.

State is shared between the runner's greenlet and every watcher's; because nothing here yields, no lock is needed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from services.events import Notice, ReasoningDelta, TextDelta, TurnEnded

Entry = TextDelta | ReasoningDelta | Notice | TurnEnded


@dataclass(frozen=True, slots=True)
class Position:
    """A place in a log: everything up to `offset` of `epoch` has been seen."""

    epoch: int
    offset: int


@dataclass(frozen=True, slots=True)
class Span:
    """Entries `offset .. offset + count - 1`, all of one kind.

    Attributes:
        kind: The entries' own. `text` or `reasoning`: their pieces are joined in `text`; else `event` is the one entry.
    """

    offset: int
    count: int
    kind: str
    text: str = ""
    event: Notice | TurnEnded | None = None

    @property
    def last(self) -> int:
        return self.offset + self.count - 1


@dataclass(frozen=True, slots=True)
class Rewind:
    """A new epoch: entries after `offset` and answer text after `length` code points are void."""

    epoch: int
    offset: int
    length: int


class Overtaken(Exception):
    """Another worker has taken the turn over: whoever ran it here lets go, and neither pays nor stores."""


class Watcher(Protocol):
    """Someone who follows a log."""

    def wake(self, urgent: bool) -> None:
        """There is something new to read. Must not yield.

        Args:
            urgent: False for pieces of text, which a viewer may gather for its window; True for everything else.
        """


class TurnLog(Protocol):
    """One turn's log."""

    turn_id: str
    fence: int
    """How often the turn has changed hands, counted from 1; the database refuses an ending under an older one."""
    epoch: int
    offset: int
    """The newest entry's offset, 0 while there is none."""
    ended: TurnEnded | None
    cache: Any
    """Room for an edge to keep the frame it encoded last, for the turn's other viewers."""
    stamp: tuple[int, float] | None
    """An offset and when it came (`time.monotonic`), for the viewer that times its delivery."""
    length: int
    """Code points of the answer so far."""

    def append(self, entry: Entry) -> int:
        """Add one entry and wake every watcher. Never yields.

        Returns:
            The entry's offset.

        Raises:
            ValueError: The log has ended.
        """

    def rewind(self, keep: int) -> Rewind:
        """Begin a new epoch that goes on after offset `keep`."""

    def locate(self, position: Position) -> tuple[int, Rewind | None]:
        """Where a reader at `position` goes on in the current epoch.

        Returns:
            The last offset of `position` that is still valid, and what to tell a reader of an older epoch.

        Raises:
            ValueError: The position lies in the future: an epoch or offset this log has not reached.
        """

    def read(self, after: int, max_chars: int = 16_384) -> list[Span]:
        """What follows offset `after` in this epoch, about `max_chars` of text at most; empty when nothing does."""

    def newest(self) -> tuple[str, str] | None:
        """Kind and text of the newest entry when it is a delta: what a reader one entry behind needs, at no cost."""

    def answer(self) -> str:
        """The answer's text so far."""

    def reasoning(self) -> str:
        """The reasoning so far."""

    def watch(self, watcher: Watcher) -> None:
        """Wake `watcher` at every entry from now on."""

    def unwatch(self, watcher: Watcher) -> None:
        """Let it be; harmless when it does not watch."""


class TurnLogs(Protocol):
    """The logs this worker can serve."""

    def open(self, turn_id: str, order: bytes = b"-") -> TurnLog:
        """A new, empty log of a turn that this worker runs. Never yields.

        Args:
            order: What another worker needs to go on with the turn; `-` when none could.
        """

    def find(self, turn_id: str) -> TurnLog | None:
        """The log, while it is kept; None means that the database is the source. May yield."""

    def release(self, turn_id: str) -> None:
        """The turn has ended (or never began): keep its log for the replay time, then forget it."""
