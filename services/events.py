"""What happens in a turn: the events a provider yields and the entries a log keeps.

A chat provider yields `TextDelta`, `ReasoningDelta` and exactly one `Stop`; a recogniser `TranscriptPartial` and
`TranscriptFinal` in their place. Between provider and runner the route may add `StateChanged("switching")` and
`Restarted`. The log numbers them all and ends with one `TurnEnded`; `Stop` and `Restarted` are never entries.

Entries other than deltas have a `name`, the event a client sees, and `to_wire`, its fields.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

State = Literal["queued", "thinking", "answering", "switching"]
Status = Literal["done", "stopped", "failed", "interrupted"]
Reason = Literal[
    "stop", "length", "content_filter", "user", "quota", "timeout", "shutdown", "vendor", "internal"
]


@dataclass(frozen=True, slots=True)
class TextDelta:
    """Answer text to append. `text`: one or more whole code points, never empty, no lone surrogates."""

    kind: ClassVar[str] = "text"
    text: str


@dataclass(frozen=True, slots=True)
class ReasoningDelta:
    """Reasoning to append; shown folded, never part of the answer's length or hash."""

    kind: ClassVar[str] = "reasoning"
    text: str


@dataclass(frozen=True, slots=True)
class StateChanged:
    """What the turn is doing now. `progress`: the share done, 0 to 1, where that is known."""

    kind: ClassVar[str] = "state"
    name: ClassVar[str] = "turn_state"
    state: State
    progress: float | None = None

    def to_wire(self) -> dict[str, Any]:
        return {"state": self.state} if self.progress is None else {"state": self.state, "progress": self.progress}


@dataclass(frozen=True, slots=True)
class TranscriptPartial:
    """Words heard so far in the current sentence; replaces the previous partial."""

    kind: ClassVar[str] = "partial"
    name: ClassVar[str] = "voice_partial"
    text: str

    def to_wire(self) -> dict[str, Any]:
        return {"text": self.text}


@dataclass(frozen=True, slots=True)
class TranscriptFinal:
    """A stretch of the transcript for good; replaces the current partial. Times count from the first byte of audio."""

    kind: ClassVar[str] = "final"
    name: ClassVar[str] = "voice_final"
    text: str
    start_ms: int
    end_ms: int

    def to_wire(self) -> dict[str, Any]:
        return {"text": self.text, "start_ms": self.start_ms, "end_ms": self.end_ms}


@dataclass(frozen=True, slots=True)
class AnswerStarted:
    """The transcript has become a question: `answer` is the text turn that answers it."""

    kind: ClassVar[str] = "answer"
    name: ClassVar[str] = "voice_answer"
    answer: str

    def to_wire(self) -> dict[str, Any]:
        return {"answer": self.answer}


Notice = StateChanged | TranscriptPartial | TranscriptFinal | AnswerStarted
"""Entries that stand for themselves: they are never joined with their neighbours."""


@dataclass(frozen=True, slots=True)
class Restarted:
    """The pieces since the turn began are void (only reasoning had come); a new epoch begins."""


@dataclass(frozen=True, slots=True)
class Usage:
    """What one turn used. `estimated` is true when the vendor did not say the tokens and we counted.

    Attributes:
        audio_ms: How long the sound lasts that was taken of a speaker; None for a turn without.
    """

    prompt_tokens: int = 0
    completion_tokens: int = 0
    estimated: bool = False
    audio_ms: int | None = None

    @property
    def total_tokens(self) -> int:
        return self.prompt_tokens + self.completion_tokens

    def to_wire(self) -> dict[str, Any]:
        return {
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": self.completion_tokens,
            "total_tokens": self.total_tokens,
            "estimated": self.estimated,
            **({"audio_ms": self.audio_ms} if self.audio_ms is not None else {}),
        }


@dataclass(frozen=True, slots=True)
class Stop:
    """The provider's last word. `usage` is None when the vendor sent none (we then estimate)."""

    reason: Literal["stop", "length", "content_filter"]
    usage: Usage | None = None
    result: Mapping[str, Any] | None = None
    """What `turn_end` carries besides, JSON: the `regions` of a reading, the `pictures` of a drawing."""


@dataclass(frozen=True, slots=True)
class TurnEnded:
    """The one ending of a turn, the log's last entry.

    Attributes:
        charged: Tokens taken from the account, never more than it held.
        length: Code points of the answer's text; `sha256` is the hex digest of its UTF-8.
        message: Id of the stored assistant message.
        error: The `error` object for `failed` and `interrupted`, else None.
        result: Further fields of the ending, as `Stop` gave them.
    """

    kind: ClassVar[str] = "end"
    name: ClassVar[str] = "turn_end"
    status: Status
    reason: Reason
    usage: Usage
    charged: int
    length: int
    sha256: str
    message: str
    error: Mapping[str, Any] | None = field(default=None)
    result: Mapping[str, Any] | None = field(default=None)

    def to_wire(self) -> dict[str, Any]:
        wire: dict[str, Any] = {
            "status": self.status,
            "reason": self.reason,
            "usage": self.usage.to_wire(),
            "charged": self.charged,
            "length": self.length,
            "sha256": self.sha256,
            "message": self.message,
            **(self.result or {}),
        }
        if self.error is not None:
            wire["error"] = self.error
        return wire
