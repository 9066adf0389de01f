"""Long answers of everything that trips up a careless reader, another one to every question."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from typing import Any

import gevent

from services.events import Stop, TextDelta, Usage
from services.providers.base import ChatRequest
from tests.servers import Stand

REPLIES, PIECES = 50, 2_000
ALPHABET = (
    "{", "}", "}{", "}\n{", '{"code":1}', '"', "\\", "\\u007b", "\n", "data: ", "[DONE]", "你好", "春眠不觉晓", "龘",
    "é", "😀", "👨‍👩‍👧", "\u2028", "word ", " ",
)  # fmt: skip
ROOM = {"RATE_LIMIT_ENABLED": "false", "INITIAL_TOKENS": "100000000", "MAX_OUTPUT_TOKENS": "90000"}
"""Settings under which so many, and so long ones, may be asked for."""


def give(stand: Stand) -> dict[str, str]:
    """Have the stand's model answer so, as fast as it can; the whole answer by question, once it is asked."""
    stand.provider.card = stand.provider.card.__class__(
        id="scripted", name="Scripted", provider="scripted", vendor_model="s-1", max_output_tokens=100_000,
        context_tokens=1_000_000,
    )  # fmt: skip
    said: dict[str, str] = {}
    stand.provider.script = speaking(said)
    return said


def speaking(said: dict[str, str]) -> Callable[[ChatRequest], Iterator[Any]]:
    """A model that says 2000 pieces, others to every question, and writes the whole into `said`."""

    def script(request: ChatRequest) -> Iterator[Any]:
        question = request.messages[-1].text
        draw = random.Random(question)
        pieces = [draw.choice(ALPHABET) for _ in range(PIECES)]
        said[question] = "".join(pieces)
        for number, piece in enumerate(pieces):
            if number % 50 == 0:
                gevent.sleep(0)
            yield TextDelta(piece)
        yield Stop("stop", Usage(1, 1))

    return script
