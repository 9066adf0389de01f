"""bailian-proxy's events. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from blueprints.compat.wire import unit
from services.errors import ChatError
from services.events import TurnEnded
from services.messages import in_chinese


class ProxyEvents:
    """A `Dialect`. The last character is kept back until more is known: the last piece tells why the answer ends."""

    kind = "text/event-stream; charset=utf-8"
    keep_alive = ": still here\n\n"
    room = 900

    def __init__(self, *, chinese: bool) -> None:
        self._chinese = chinese
        self._kept = ""

    def piece(self, text: str) -> str:
        shown, self._kept = self._kept + text[:-1], text[-1]
        return _piece(shown, None) if shown else ""

    def done(self, ended: TurnEnded) -> Iterator[str]:
        if self._kept:
            yield _piece(self._kept, "length" if ended.reason in ("length", "quota") else "stop")
        yield "data: [DONE]\n\n"

    def failed(self, error: ChatError) -> Iterator[str]:
        if self._kept:
            yield _piece(self._kept, None)
        yield _event({"error": error.code, "message": in_chinese(error) if self._chinese else error.message})


def _piece(text: str, reason: str | None) -> str:
    return _event({"content": text, "finish_reason": reason})


def _event(value: Any) -> str:
    return f"data: {unit(value)}\n\n"
