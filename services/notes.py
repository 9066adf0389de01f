"""Small notes to all of a user's devices: something changed, fetch it when you care."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

Send = Callable[[str, str, dict[str, Any]], None]
Post = Callable[[dict[str, Any]], None]

_REQUIRED: Mapping[str, Mapping[str, type]] = {
    "conversation_changed": {"conversation": str, "version": int},
    "quota_changed": {"tokens": int, "pictures": int},
    "voice_started": {"turn": str, "client_id": str},
}
_OPTIONAL: Mapping[str, Mapping[str, type]] = {
    "conversation_changed": {"title": str, "deleted": bool},
    "quota_changed": {},
    "voice_started": {},
}


class Notes:
    """Passes notes to whoever delivers them; an edge subscribes at start, and other workers are told."""

    def __init__(self) -> None:
        self._senders: list[Send] = []
        self._posts: list[Post] = []

    def subscribe(self, send: Send) -> None:
        """`send(user_id, event, payload)` must not wait."""
        self._senders.append(send)

    def tell_others(self, post: Post) -> None:
        """Have other workers told, which pass what `post` was given to their `hear`. It must not wait."""
        self._posts.append(post)

    def hear(self, said: dict[str, Any]) -> None:
        """Deliver another worker's note to this one's devices. What is no note of ours is passed over.

        Never yields.
        """
        user_id, event, payload = said.get("user"), said.get("event"), said.get("payload")
        if (
            isinstance(user_id, str)
            and isinstance(event, str)
            and isinstance(payload, dict)
            and _is_note(event, payload)
        ):
            self._deliver(user_id, event, payload)

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

    def voice_started(self, user_id: str, *, turn: str, client_id: str) -> None:
        """Someone begins to speak on one device: others may follow the captions."""
        self._send(user_id, "voice_started", {"turn": turn, "client_id": client_id})

    def _send(self, user_id: str, event: str, payload: dict[str, Any]) -> None:
        self._deliver(user_id, event, payload)  # what is near comes first
        for post in self._posts:
            post({"user": user_id, "event": event, "payload": payload})

    def _deliver(self, user_id: str, event: str, payload: dict[str, Any]) -> None:
        for send in self._senders:
            send(user_id, event, payload)


def _is_note(event: str, payload: dict[str, Any]) -> bool:
    required, optional = _REQUIRED.get(event), _OPTIONAL.get(event, {})
    if required is None or not set(required) <= set(payload):
        return False
    shape = {**required, **optional}
    return all(name in shape and type(value) is shape[name] for name, value in payload.items())
