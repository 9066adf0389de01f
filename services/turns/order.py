"""What a text turn was asked, in a form that another worker can go on from."""

from __future__ import annotations

from dataclasses import asdict, dataclass

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
        return orjson.dumps({"kind": "text", **asdict(self)})

    @classmethod
    def unpacked(cls, packed: bytes) -> TextOrder:
        """
        Raises:
            ValueError, TypeError: It is another kind's, or another version of this server wrote it.
        """
        fields = orjson.loads(packed)
        if fields.pop("kind", None) != "text":
            raise ValueError("This is not the order of a text turn.")
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


def keep_order(session: Session, order: TextOrder) -> None:
    """Write the order into the turn's row, under `result`, which holds nothing else before the ending: a worker may die
    before Redis has it, or Redis may lose it."""
    session.execute(update(Turn).where(Turn.id == order.turn_id).values(result=order.packed().decode()))


def kept_order(turn: Turn) -> bytes:
    """The order of a running turn; `-` when its row has none."""
    return (turn.result or "-").encode()
