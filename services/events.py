"""What happens in a turn: the events a provider yields and the entries a log keeps.

A provider yields `TextDelta`, `ReasoningDelta` and exactly one `Stop`. Between provider and runner the route may
add `StateChanged("switching")` and `Restarted`. The log numbers `TextDelta`, `ReasoningDelta`, `StateChanged` and
one `TurnEnded`; nothing else is ever an entry.
"""

from __future__ import annotations

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
    """What the turn is doing now."""

    state: State


@dataclass(frozen=True, slots=True)
class Restarted:
    """The pieces since the turn began are void (only reasoning had come); a new epoch begins."""


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one turn. `estimated` is true when the vendor did not say and we counted."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    estimated: bool = False

    @property
    def total_tokens(self) -> int:
        return self.prompt_tokens + self.completion_tokens

    def to_wire(self) -> dict[str, Any]:
        return {
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": self.completion_tokens,
            "total_tokens": self.total_tokens,
            "estimated": self.estimated,
        }


@dataclass(frozen=True, slots=True)
class Stop:
    """The provider's last word. `usage` is None when the vendor sent none (we then estimate)."""

    reason: Literal["stop", "length", "content_filter"]
    usage: Usage | None = None


@dataclass(frozen=True, slots=True)
class TurnEnded:
    """The one ending of a turn, the log's last entry.

    Attributes:
        charged: Tokens taken from the account, never more than it held.
        length: Code points of the answer's text; `sha256` is the hex digest of its UTF-8.
        message: Id of the stored assistant message.
        error: The `error` object for `failed` and `interrupted`, else None.
    """

    status: Status
    reason: Reason
    usage: Usage
    charged: int
    length: int
    sha256: str
    message: str
    error: dict[str, Any] | None = field(default=None)

    def to_wire(self) -> dict[str, Any]:
        wire: dict[str, Any] = {
            "status": self.status,
            "reason": self.reason,
            "usage": self.usage.to_wire(),
            "charged": self.charged,
            "length": self.length,
            "sha256": self.sha256,
            "message": self.message,
        }
        if self.error is not None:
            wire["error"] = self.error
        return wire
