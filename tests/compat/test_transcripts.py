"""Golden bytes: every route and every error row of the older contracts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from flask.testing import FlaskClient

from services import errors
from services.events import Stop, TextDelta, Usage
from services.providers.base import ChatRequest
from tests.compat.transcripts import Case, cases
from tests.scripted import Script
from tests.servers import Stand

BACKENDS = ("bailian-chatbot", "bailian-proxy", "cloud-chat", "doubao-web", "spark-mobile")
CHIEF = {"admin": "admin", "password": "a long password"}
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
        settings = {"INITIAL_TOKENS": "5000", "INITIAL_PICTURES": "3", "SPARK_MOBILE_ADMIN_PASSWORD": CHIEF["password"]}
        stand = Stand({**site_env, **LOOK, **settings, "COMPAT": backend})
        request.addfinalizer(stand.site.close)
        return stand

    return start


def known(backend: str, browser: FlaskClient) -> dict[str, str]:
    """What a client of this backend has at hand, once its user `ann` has signed in."""
    if backend == "spark-mobile":
        browser.post("/auth/register", json={"username": "ann", "password": "pw", "email": "a@b.c"})
        uuid = browser.post("/auth/login", json={"username": "ann", "password": "pw"}).get_json()["uuid"]
        chief = browser.post("/admin/login", json=CHIEF).get_json()
        return {"uuid": uuid, "access": chief["access_token"], "refresh": chief["refresh_token"]}
    if backend == "doubao-web":
        browser.post("/register", data={"username": "ann", "password": "secret"})
        used = browser.post("/create-session").get_json()["session_id"]
        browser.post("/chat-stream", json={"message": "Hi"}, headers={"X-Auth-Token": used}).get_data()
        return {"used": used, "session": browser.post("/create-session").get_json()["session_id"]}
    return {}


@pytest.mark.parametrize(
    ("backend", "case"),
    [pytest.param(name, case, id=f"{name}: {case.name}") for name in BACKENDS for case in cases(name)],
)
def test_the_answer_is_the_contracts_to_the_byte(alone: Callable[[str], Stand], backend: str, case: Case) -> None:
    stand = alone(backend)
    browser = stand.site.client()
    case = case.filled(known(backend, browser))
    stand.provider.requests.clear()
    stand.provider.script = plays(case)
    browser = stand.site.client() if "Cookie" in case.headers else browser
    answer = browser.open(case.path, method=case.method, headers=case.headers, data=case.body)
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
