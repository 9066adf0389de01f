"""Small notes to all of a user's devices: something changed, fetch it when you care."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Send = Callable[[str, str, dict[str, Any]], None]


class Notes:
    """Passes notes to whoever delivers them; an edge subscribes at start."""

    def __init__(self) -> None:
        self._senders: list[Send] = []

    def subscribe(self, send: Send) -> None:
        """`send(user_id, event, payload)` must not wait."""
        self._senders.append(send)

    def conversation_changed(
        self, user_id: str, conversation: str, version: int, *, title: str | None = None, deleted: bool = False
    ) -> None:
        payload: dict[str, Any] = {"conversation": conversation, "version": version}
        if title is not None:
            payload["title"] = title
        if deleted:
            payload["deleted"] = True
        self._send(user_id, "conversation_changed", payload)

    def quota_changed(self, user_id: str, *, tokens: int, pictures: int) -> None:
        self._send(user_id, "quota_changed", {"tokens": tokens, "pictures": pictures})

    def _send(self, user_id: str, event: str, payload: dict[str, Any]) -> None:
        for send in self._senders:
            send(user_id, event, payload)
