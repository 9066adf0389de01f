"""What a turn was asked, or how far it has come, in a form that another worker can go on from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import orjson
from sqlalchemy import update
from sqlalchemy.orm import Session

from db.models import Turn
from services.providers.base import ChatMessage, ChatRequest


@dataclass(frozen=True, slots=True)
class TextOrder:
    """One text turn: whose it is, where its answer goes, and what its model is asked.

    Attributes:
        model: The route, as users know it.
        messages: The prompt; pictures by their ids.
        granted: Tokens of answer that were reserved; `short` when the account covered less than was asked for.
        prompt_estimate: Our count of the prompt in tokens.
    """

    user_id: str
    turn_id: str
    conversation: str
    message: str
    model: str
    messages: tuple[ChatMessage, ...]
    temperature: float | None
    top_p: float | None
    granted: int
    short: bool
    prompt_estimate: int

    def packed(self) -> bytes:
        return _packed("text", asdict(self))

    @classmethod
    def unpacked(cls, packed: bytes) -> TextOrder:
        """
        Raises:
            ValueError, TypeError: It is another kind's, or another version of this server wrote it.
        """
        fields = _unpacked("text", packed)
        messages = tuple(
            ChatMessage(message["role"], message["text"], tuple(message["pictures"])) for message in fields["messages"]
        )
        return cls(**{**fields, "messages": messages})

    def asked(self) -> ChatRequest:
        """The request, without its pictures."""
        return ChatRequest(
            model="",  # each member of the route's chain puts its own
            messages=self.messages,
            temperature=self.temperature,
            top_p=self.top_p,
            max_tokens=self.granted,
            user=self.user_id,
        )


@dataclass(frozen=True, slots=True)
class VoiceOrder:
    """How far an utterance has come, for a worker that goes on with it: the first byte not taken, and what listens."""

    next: int
    rate: int
    model: str

    def packed(self) -> bytes:
        return _packed("voice", asdict(self))

    @classmethod
    def unpacked(cls, packed: bytes) -> VoiceOrder:
        """
        Raises:
            ValueError, TypeError: It is another kind's, or another version of this server wrote it.
        """
        return cls(**_unpacked("voice", packed))


def _packed(kind: str, fields: Mapping[str, Any]) -> bytes:
    return orjson.dumps({"kind": kind, **fields})


def _unpacked(kind: str, packed: bytes) -> dict[str, Any]:
    fields: dict[str, Any] = orjson.loads(packed)
    if fields.pop("kind", None) != kind:
        raise ValueError(f"This is not the order of a {kind} turn.")
    return fields


def keep_order(session: Session, order: TextOrder) -> None:
    """Write the order into the turn's row, under `result`, which holds nothing else before the ending: a worker may die
    before Redis has it, or Redis may lose it."""
    session.execute(update(Turn).where(Turn.id == order.turn_id).values(result=order.packed().decode()))


def kept_order(turn: Turn) -> bytes:
    """The order of a running turn; `-` when its row has none."""
    return (turn.result or "-").encode()
