"""Which messages of a conversation go to the model: pure."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Protocol

from services.providers.base import ChatMessage
from services.quota.estimate import PER_MESSAGE, completion_tokens, prompt_tokens


class Stored(Protocol):
    """A message that came before, as far as the prompt needs it."""

    @property
    def role(self) -> str: ...

    @property
    def text(self) -> str: ...

    @property
    def pictures(self) -> str | tuple[str, ...]:
        """Ids of the pictures it shows; as text with blanks between them."""


def prompt(
    path: Sequence[Stored],
    question: str,
    *,
    system: str | None,
    max_messages: int,
    max_tokens: int,
    pictures: tuple[str, ...] = (),
) -> tuple[ChatMessage, ...]:
    """The system message, the newest messages that fit, and the question, which is always there.

    Args:
        path: From the conversation's first message to the one the question follows. Answers without text (failed
            before their first piece) are left out.
        max_messages: How many of `path`.
        pictures: Ids of those the question shows; those of earlier messages stand beside their text.
        max_tokens: What the whole prompt may hold by our estimate; older messages are dropped first.

    The oldest message kept is a user's: vendors refuse a prompt that begins with an answer.
    """
    head = (ChatMessage("system", system),) if system else ()
    tail = (ChatMessage("user", question, pictures),)
    left = max_tokens - prompt_tokens(head + tail)
    kept: list[ChatMessage] = []
    for message in reversed([stored for stored in path if stored.text][-max_messages:]):
        entry = ChatMessage("user" if message.role == "user" else "assistant", message.text, ids_of(message))
        left -= PER_MESSAGE + completion_tokens(entry.text)
        if left < 0:
            break
        kept.append(entry)
    while kept and kept[-1].role == "assistant":
        kept.pop()
    return head + tuple(reversed(kept)) + tail


def last_rounds(path: Sequence[Stored], most: int) -> list[Stored]:
    """The last `most` questions that were answered, each with its answer; others are left out."""
    answered = [
        (question, answer)
        for question, answer in pairwise(path)
        if question.role == "user" and answer.role == "assistant" and answer.text
    ]
    return [message for pair in answered[-most:] for message in pair]


def ids_of(message: Stored) -> tuple[str, ...]:
    """The pictures a message shows."""
    shown = message.pictures
    return tuple(shown.split()) if isinstance(shown, str) else shown
