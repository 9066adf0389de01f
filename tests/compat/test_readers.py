"""Careless readers read every answer whole, whatever is in it and however fast it comes."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import gevent
import pytest
from gevent.pool import Pool

from services.events import Stop, TextDelta
from services.providers.base import ChatRequest
from tests.compat.readers import LIMIT_S, chat_page, one_shot_page, reads, service_module, widget
from tests.servers import Stand

REPLIES, PIECES, AT_ONCE = 50, 2_000, 5
ALPHABET = [
    "{",
    "}",
    "}{",
    '"',
    "\\",
    "\n",
    "data: ",
    "[DONE]",
    "你好",
    "龘",
    "é",
    "😀",
    "👨‍👩‍👧",
    "\u2028",
    "word ",
    " ",
]
PROXY = {"messages": [{"role": "user", "content": "hi"}]}
CLIENTS: list[tuple[str, dict[str, Any], Callable[[Iterable[bytes]], str]]] = [
    ("/api/chat/stream", PROXY, service_module),
    ("/myapi/v1/chat-bot/stream", {"last_prompt": "hi"}, widget),
    ("/cloudchat/chat", {"message": "hi"}, one_shot_page),
    ("/deepseek_chat", {"message": "hi"}, chat_page),
]


@pytest.fixture
def fast(site_env: dict[str, str]) -> Iterator[Stand]:
    stand = Stand(
        {**site_env, "RATE_LIMIT_ENABLED": "false", "INITIAL_TOKENS": "100000000", "MAX_OUTPUT_TOKENS": "90000"}
    )
    yield stand
    stand.audit()
    stand.site.close()


def speaks(said: dict[str, str]) -> Callable[[ChatRequest], Iterator[Any]]:
    """A model that says 2000 pieces as fast as it can, others to every question; `said` holds the whole by question."""

    def script(request: ChatRequest) -> Iterator[Any]:
        question = request.messages[-1].text
        draw = random.Random(question)
        pieces = [draw.choice(ALPHABET) for _ in range(PIECES)]
        said[question] = "".join(pieces)
        for number, piece in enumerate(pieces):
            if number % 50 == 0:
                gevent.sleep(0)
            yield TextDelta(piece)
        yield Stop("stop")

    return script


@pytest.mark.parametrize(("path", "body", "reader"), CLIENTS, ids=[client[2].__name__ for client in CLIENTS])
def test_fifty_long_answers_are_read_whole(
    fast: Stand, path: str, body: dict[str, Any], reader: Callable[[Iterable[bytes]], str]
) -> None:
    said: dict[str, str] = {}
    fast.provider.script = speaks(said)
    fast.provider.card = fast.provider.card.__class__(
        id="scripted", name="Scripted", provider="scripted", vendor_model="s-1", max_output_tokens=100_000,
        context_tokens=1_000_000,
    )  # fmt: skip
    address = fast.site.open()

    def read(number: int) -> tuple[str, str]:
        question = f"question {number}"
        asked = {"messages": [{"role": "user", "content": question}], "max_tokens": 90_000}
        given = reads(address, path, asked if "messages" in body else {**body, _field(body): question})
        return question, reader(given)

    with gevent.Timeout(3 * LIMIT_S):
        for question, heard in Pool(AT_ONCE).imap_unordered(read, range(REPLIES)):
            assert heard == said[question]


def _field(body: dict[str, Any]) -> str:
    """The field that holds the question."""
    return next(iter(body))


@pytest.mark.parametrize(("path", "body"), [client[:2] for client in CLIENTS])
def test_every_read_holds_whole_units_of_ascii_below_a_kilobyte(fast: Stand, path: str, body: dict[str, Any]) -> None:
    """One unit a write: a read ends where a unit ends."""
    fast.provider.script = speaks({})
    for read in reads(fast.site.open(), path, body):
        assert read.isascii()
        assert read.endswith(b"\n")
        assert all(len(unit) <= 1_024 for unit in read.split(b"\n"))
