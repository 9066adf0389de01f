"""Conversations and messages as the edges see them, free of the database."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from db.models import Conversation, Message
from services.errors import by_code


@dataclass(frozen=True, slots=True)
class ConversationRecord:
    """A conversation of the list. `snippet` is set by a search only."""

    id: str
    title: str
    head: str | None
    version: int
    created_ms: int
    updated_ms: int
    snippet: str | None = None

    @classmethod
    def of(cls, row: Conversation, *, snippet: str | None = None) -> ConversationRecord:
        return cls(row.id, row.title, row.head, row.version, row.created_ms, row.updated_ms, snippet)

    def to_wire(self) -> dict[str, Any]:
        wire: dict[str, Any] = {
            "id": self.id,
            "title": self.title,
            "head": self.head,
            "version": self.version,
            "created_ms": self.created_ms,
            "updated_ms": self.updated_ms,
        }
        if self.snippet is not None:
            wire["snippet"] = self.snippet
        return wire


@dataclass(frozen=True, slots=True)
class MessageRecord:
    """One message; `status` is empty for a user's. `reason` and `error_code` tell how an answer's turn ended."""

    id: str
    parent: str | None
    role: str
    text: str
    pictures: tuple[str, ...]
    reasoning: str
    model: str
    turn: str | None
    status: str
    prompt_tokens: int
    completion_tokens: int
    charged: int
    created_ms: int
    reason: str = ""
    error_code: str = ""
    heard_chars: int | None = None

    @classmethod
    def of(cls, row: Message, *, reason: str | None = None, error_code: str | None = None) -> MessageRecord:
        return cls(
            id=row.id,
            parent=row.parent_id,
            role=row.role,
            text=row.text,
            pictures=tuple(row.pictures.split()),
            reasoning=row.reasoning,
            model=row.model,
            turn=row.turn_id,
            status=row.status,
            prompt_tokens=row.prompt_tokens,
            completion_tokens=row.completion_tokens,
            charged=row.charged,
            created_ms=row.created_ms,
            reason=reason or "",
            error_code=error_code or "",
            heard_chars=row.heard_chars,
        )

    def to_wire(self) -> dict[str, Any]:
        ending = {name: value for name, value in (("reason", self.reason), ("error", self._error())) if value}
        return {
            "id": self.id,
            "parent": self.parent,
            "role": self.role,
            "text": self.text,
            "pictures": list(self.pictures),
            "reasoning": self.reasoning,
            "model": self.model,
            "turn": self.turn,
            "status": self.status,
            "usage": {"prompt_tokens": self.prompt_tokens, "completion_tokens": self.completion_tokens},
            "charged": self.charged,
            "created_ms": self.created_ms,
            **({"heard_chars": self.heard_chars} if self.heard_chars is not None else {}),
            **ending,
        }

    def _error(self) -> dict[str, Any] | None:
        return by_code(self.error_code).to_wire() if self.error_code else None
