"""cloud-chat's newline-delimited objects. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from blueprints.compat.wire import unit
from services.errors import ChatError
from services.events import TurnEnded


class ChatLines:
    """A `Dialect`. Every line has a `text`: the one-shot page believes so."""

    kind = "application/json"
    keep_alive = '{"text": ""}\n'
    room = 980

    def piece(self, text: str) -> str:
        return unit({"text": text}) + "\n"

    def done(self, ended: TurnEnded) -> Iterator[str]:
        yield from ()

    def failed(self, error: ChatError) -> Iterator[str]:
        yield unit({"text": "", "error": error.code}) + "\n"
