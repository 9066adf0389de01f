"""Careless readers read every answer whole, whatever is in it and however fast it comes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import gevent
import pytest
from gevent.pool import Pool

from tests.compat.readers import LIMIT_S, chat_page, one_shot_page, reads, service_module, widget
from tests.compat.replies import REPLIES, ROOM, give
from tests.servers import Stand

AT_ONCE = 5
PROXY = {"messages": [{"role": "user", "content": "hi"}]}
CLIENTS: list[tuple[str, dict[str, Any], Callable[[Iterable[bytes]], str]]] = [
    ("/api/chat/stream", PROXY, service_module),
    ("/myapi/v1/chat-bot/stream", {"last_prompt": "hi"}, widget),
    ("/cloudchat/chat", {"message": "hi"}, one_shot_page),
    ("/deepseek_chat", {"message": "hi"}, chat_page),
]


@pytest.fixture
def fast(site_env: dict[str, str]) -> Iterator[Stand]:
    stand = Stand({**site_env, **ROOM})
    yield stand
    stand.audit()
    stand.site.close()


@pytest.mark.parametrize(("path", "body", "reader"), CLIENTS, ids=[client[2].__name__ for client in CLIENTS])
def test_fifty_long_answers_are_read_whole(
    fast: Stand, path: str, body: dict[str, Any], reader: Callable[[Iterable[bytes]], str]
) -> None:
    said = give(fast)
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
    give(fast)
    for read in reads(fast.site.open(), path, body):
        assert read.isascii()
        assert read.endswith(b"\n")
        assert all(len(unit) <= 1_024 for unit in read.split(b"\n"))
