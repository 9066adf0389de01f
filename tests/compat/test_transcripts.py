"""Golden bytes: every route and every error row of the older contracts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from services import errors
from services.events import Stop, TextDelta, Usage
from services.providers.base import ChatRequest
from tests.compat.transcripts import Case, cases
from tests.scripted import Script
from tests.servers import Stand

BACKENDS = ("bailian-chatbot", "bailian-proxy", "cloud-chat")
LOOK = {
    "CHATBOT_WELCOME": "Welcome",
    "CHATBOT_FONT_SIZE": "16",
    "CHATBOT_USER_AVATAR": "/me.png",
    "CHATBOT_BOT_IMAGE": "/bot.png",
    "CHATBOT_BUTTONS": "Prices=Show prices",
}


def plays(case: Case) -> Script:
    """A model that says the case's pieces, then fails or stops."""

    def script(request: ChatRequest) -> Iterator[Any]:
        yield from map(TextDelta, case.pieces or ())
        if case.error:
            raise getattr(errors, case.error)("The vendor said something.")
        yield Stop("stop", Usage(11, 7))

    return script


@pytest.fixture
def alone(site_env: dict[str, str], request: pytest.FixtureRequest) -> Callable[[str], Stand]:
    """A server with one older backend only."""

    def start(backend: str) -> Stand:
        stand = Stand({**site_env, **LOOK, "COMPAT": backend})
        request.addfinalizer(stand.site.close)
        return stand

    return start


@pytest.mark.parametrize(
    ("backend", "case"),
    [pytest.param(name, case, id=f"{name}: {case.name}") for name in BACKENDS for case in cases(name)],
)
def test_the_answer_is_the_contracts_to_the_byte(alone: Callable[[str], Stand], backend: str, case: Case) -> None:
    stand = alone(backend)
    stand.provider.script = plays(case)
    answer = stand.site.client().open(case.path, method=case.method, headers=case.headers, data=case.body)
    assert answer.status_code == case.status, answer.text
    assert case.answer.fullmatch(answer.get_data(as_text=True)), answer.text
    for name, value in case.answer_headers.items():
        if value == "-":
            assert name not in answer.headers
        elif name in ("Allow", "Vary"):
            assert set(value.split(", ")) <= set(answer.headers[name].split(", ")), name
        else:
            assert answer.headers.getlist(name) == [value]
    assert bool(stand.provider.requests) == (case.pieces is not None)
    stand.audit()
