"""What a client asks of a text turn, whichever edge it came through."""

from __future__ import annotations

from dataclasses import dataclass

from services.providers.base import ChatMessage


@dataclass(frozen=True, slots=True)
class TextRequest:
    """One question. Checked for shape by the edge; ids are checked for existence and ownership when it starts.

    Attributes:
        client_id: The client's own name for it: the same one within 24 hours means the same turn.
        parent: Message the question follows; the conversation's own id for a branch from the very start; None for
            the newest leaf.
        pictures: Ids of pictures for a model that sees.
        history: What came before, told by the client itself, oldest first and without a system message. Such a
            turn belongs to no conversation of the user's choice; None for the path to `parent`.
        rounds: So many whole rounds of the path are sent, questions without an answer not at all; None for the
            server's own measure.
    """

    client_id: str
    text: str
    conversation: str | None = None
    parent: str | None = None
    model: str | None = None
    system: str | None = None
    temperature: float | None = None
    top_p: float | None = None
    max_tokens: int | None = None
    pictures: tuple[str, ...] = ()
    history: tuple[ChatMessage, ...] | None = None
    rounds: int | None = None


@dataclass(frozen=True, slots=True)
class AgainRequest:
    """Another answer to a question that was answered: `message` is that answer, or the question itself."""

    client_id: str
    message: str
    model: str | None = None
