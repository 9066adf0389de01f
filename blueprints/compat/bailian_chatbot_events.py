"""bailian-chatbot's events. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from blueprints.compat.statuses import status_of
from blueprints.compat.wire import unit
from services.errors import ChatError
from services.events import TurnEnded
from services.messages import in_chinese

MOST_BYTES = 1_000
"""Of one event: the widgets keep nothing between two reads."""


class ChatbotEvents:
    """A `Dialect`. The end event comes whatever happens: without it a widget forgets what it shows."""

    kind = "text/event-stream; charset=utf-8"
    keep_alive = ": still here\n\n"

    def __init__(self, session_id: str | None, *, chinese: bool) -> None:
        self._session_id = session_id
        self._chinese = chinese
        self.room = MOST_BYTES - len(self.piece(""))

    def piece(self, text: str) -> str:
        return _event({"success": True, "content": text, "finished": False, "session_id": self._session_id})

    def done(self, ended: TurnEnded) -> Iterator[str]:
        yield _event({"success": True, "finished": True, "message": "Stream completed"})

    def failed(self, error: ChatError) -> Iterator[str]:
        message = in_chinese(error) if self._chinese else error.message
        yield _event({"success": False, "message": message, "code": status_of(error, error.http_status)})
        yield _event({"success": True, "finished": True, "message": "Stream completed"})


def _event(value: Any) -> str:
    return f"data: {unit(value)}\n\n"
