"""What a widget says came before its question, as a model may be asked. Pure."""

from __future__ import annotations

from typing import Any, Literal

from services.cleaning import clean
from services.providers.base import ChatMessage

MOST_ITEMS = 40
MOST_CHARS = 20_000
"""The newest are kept: it is the client's word, and nobody bounds it there."""

_ROLES: dict[str, Literal["user", "assistant"]] = {
    "user": "user",
    "assistant": "assistant",
    "ai": "assistant",
    "model": "assistant",
}


def talk_before(prompt: str, told: Any) -> tuple[ChatMessage, ...]:
    """The talk before `prompt`, oldest first, beginning with a user's message.

    Items of another shape, empty ones and roles a client may not take (`system`) are left out; so is the prompt
    itself, with which the widgets end their history.
    """
    messages = [message for item in told if (message := _message(item))] if isinstance(told, list) else []
    if messages and messages[-1] == ChatMessage("user", clean(prompt)):
        messages.pop()
    kept: list[ChatMessage] = []
    left = MOST_CHARS
    for message in reversed(messages[-MOST_ITEMS:]):
        left -= len(message.text)
        if left < 0:
            break
        kept.append(message)
    while kept and kept[-1].role == "assistant":
        kept.pop()
    return tuple(reversed(kept))


def _message(item: Any) -> ChatMessage | None:
    """One item, in the widgets' form or the older `{role, parts: {text}}`."""
    if not isinstance(item, dict):
        return None
    role, text, parts = item.get("role"), item.get("content"), item.get("parts")
    if text is None and isinstance(parts, list):
        parts = parts[0] if parts else None
    if text is None and isinstance(parts, dict):
        text = parts.get("text")
    if not isinstance(role, str) or not isinstance(text, str) or role not in _ROLES:
        return None
    text = clean(text[:MOST_CHARS])
    return ChatMessage(_ROLES[role], text) if text.strip() else None
