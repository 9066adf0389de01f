"""A request as Spark takes it: roles in turns, values in range, a short id for the user."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import count

from services.providers.base import ChatMessage, ChatRequest
from services.providers.spark_versions import Version

_COOLEST, _WARMEST = 0.01, 1.0  # 0 is refused


def texts_of(messages: Iterable[ChatMessage], version: Version) -> list[dict[str, str]]:
    """The messages as Spark wants them: a system message first if at all, then user and assistant in turns.

    Neighbours of one role are joined, an answer without its question and empty messages are left out. Where a
    version knows no system messages, their text stands before the first question.
    """
    texts: list[dict[str, str]] = []
    preface: list[str] = []
    for message in messages:
        if not message.text:
            continue
        if message.role == "system":
            preface.append(message.text)
        elif texts and texts[-1]["role"] == message.role:
            texts[-1]["content"] += "\n\n" + message.text
        elif texts or message.role == "user":
            texts.append({"role": message.role, "content": message.text})
    if preface and version.has_system:
        texts.insert(0, {"role": "system", "content": "\n\n".join(preface)})
    elif preface and texts:
        texts[0]["content"] = "\n\n".join([*preface, texts[0]["content"]])
    return texts


def temperature_of(request: ChatRequest) -> float | None:
    """In the vendor's range, which begins above 0 and ends at 1."""
    return None if request.temperature is None else min(max(request.temperature, _COOLEST), _WARMEST)


def max_tokens_of(request: ChatRequest, version: Version) -> int | None:
    """No more than the version gives."""
    return None if request.max_tokens is None else min(max(request.max_tokens, 1), version.max_output_tokens)


class UserIds:
    """Ids of users with an answer running, for a vendor that takes one question at a time of each.

    Several answers of one user at once get different ids. Never yields; shared by all streams.
    """

    def __init__(self) -> None:
        self._lent: set[str] = set()

    @contextmanager
    def lend(self, user: str) -> Iterator[str]:
        """An id of 32 letters that no running stream has; empty when the user is not named."""
        if not user:
            yield ""
            return
        uid = next(uid for number in count() if (uid := _hashed(user, number)) not in self._lent)
        self._lent.add(uid)
        try:
            yield uid
        finally:
            self._lent.discard(uid)


def _hashed(user: str, number: int) -> str:
    return hashlib.sha256(f"{number} {user}".encode()).hexdigest()[:32]
