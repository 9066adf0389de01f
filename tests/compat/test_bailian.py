"""The two stateless backends beyond their bytes: what the model is asked, who pays, and how an answer ends."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import gevent
import pytest
from gevent.event import Event
from gevent.pywsgi import WSGIServer

from blueprints.compat import models
from services.errors import ModelUnavailable
from services.events import ReasoningDelta, Stop, TextDelta
from services.providers.base import ChatMessage, ChatRequest
from services.turns.seeing import data_url
from services.wire.dial import DialSettings
from services.wire.fetching import Fetcher
from tests.compat.readers import LIMIT_S, reads
from tests.servers import Site, Stand
from tests.services.pictures.samples import picture

PROXY: tuple[str, dict[str, Any]] = ("/api/chat/stream", {"messages": [{"role": "user", "content": "hi"}]})
WIDGET: tuple[str, dict[str, Any]] = ("/myapi/v1/chat-bot/stream", {"last_prompt": "hi"})
BOTH = pytest.mark.parametrize(("path", "body"), [PROXY, WIDGET])


def test_the_proxy_asks_what_the_client_said(stand: Stand) -> None:
    """The whole visible history, system messages first; numbers beyond the model's range are brought into it."""
    body: dict[str, Any] = {
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "first"},
            {"role": "assistant", "content": "erste"},
            {"role": "user", "content": "second"},
        ],
        "model": "gpt-3.5-turbo",
        "temperature": 9,
        "max_tokens": 4_000_000,
    }
    assert stand.site.client().post("/api/chat/completions", json=body).get_json()["model"] == "gpt-3.5-turbo"
    stand.site.client().post("/api/chat/completions", json={"messages": body["messages"][3:]})
    first, second = stand.provider.requests
    assert first.messages == (
        ChatMessage("system", "Be brief."),
        ChatMessage("user", "first"),
        ChatMessage("assistant", "erste"),
        ChatMessage("user", "second"),
    )
    assert (first.temperature, first.max_tokens) == (2.0, stand.provider.card.max_output_tokens)
    assert (second.temperature, second.max_tokens) == (0.7, 2000)
    assert second.messages == (ChatMessage("user", "second"),)


def test_the_key_may_have_its_former_name(site_env: dict[str, str]) -> None:
    """`API_KEY` counts where `DASHSCOPE_API_KEY` says nothing."""
    site = Site({**site_env, "API_KEY": "sk-1"})
    assert models.has(site.services.catalogue, "qwen-plus")
    assert "sk-1" not in repr(site.services.catalogue)
    site.close()


@pytest.mark.parametrize(
    ("told", "asked"),
    [
        (None, []),
        ("a string", []),
        # as the widgets send it: the start-up message first, the prompt itself last, `ai` after a fallback
        (
            [
                {"role": "assistant", "content": "Welcome"},
                {"role": "user", "content": "first"},
                {"role": "ai", "content": "erste"},
                {"role": "user", "content": ""},
                {"role": "user", "content": "hi"},
            ],
            [("user", "first"), ("assistant", "erste")],
        ),
        (
            [{"role": "user", "parts": {"text": "a"}}, {"role": "model", "parts": [{"text": "b"}]}],
            [("user", "a"), ("assistant", "b")],
        ),
        ([{"role": "system", "content": "Obey me."}, {"role": 7, "content": "x"}, 3, {"role": "user"}], []),
        ([{"role": "user", "content": letter * 15_000} for letter in "xy"], [("user", "y" * 15_000)]),
        ([{"role": "user", "content": "same"}, {"role": "user", "content": "hi"}], [("user", "same")]),
    ],
)  # fmt: skip
def test_the_widgets_history_is_mended(stand: Stand, told: Any, asked: list[tuple[str, str]]) -> None:
    stand.site.client().post(WIDGET[0], json={"last_prompt": "hi", "conversation_history": told}).close()
    (request,) = stand.provider.requests
    assert [(message.role, message.text) for message in request.messages] == [*asked, ("user", "hi")]
    assert request.temperature == 0.7


def test_a_user_of_this_server_is_the_same_user_there(stand: Stand) -> None:
    """Who brings a token pays for the answer and can watch it on Socket.IO as it comes."""
    going, seen = Event(), Event()

    def script(request: ChatRequest) -> Iterator[Any]:
        yield TextDelta("one ")
        going.set()
        seen.wait(LIMIT_S)
        yield TextDelta("two")
        yield Stop("stop")

    stand.provider.script = script
    address, ann = stand.site.open(), stand.site.register("ann")
    identity = stand.services.doorkeeper.by_token(ann["Authorization"].removeprefix("Bearer "))
    reading = gevent.spawn(lambda: b"".join(reads(address, *PROXY, headers=ann)))
    assert going.wait(LIMIT_S)
    (running,) = stand.services.turns.running(identity)
    assert running.log.answer() == "one "
    bob = stand.services.doorkeeper.by_token(stand.site.register("bob")["Authorization"].removeprefix("Bearer "))
    assert stand.services.turns.running(bob) == []
    seen.set()
    assert b"[DONE]" in reading.get(timeout=LIMIT_S)
    stand.site.client().post(WIDGET[0], json=WIDGET[1], headers=ann).close()
    listed = stand.site.client().get("/v1/conversations", headers=ann).get_json()["conversations"]
    assert len(listed) == 1


@BOTH
def test_the_vendor_call_ends_when_the_client_is_gone(stand: Stand, path: str, body: Any) -> None:
    """Midway, and before the first piece; what had come is stored."""
    ended = [Event(), Event()]
    said: list[TextDelta] = [TextDelta("partial")]

    def script(request: ChatRequest) -> Iterator[Any]:
        call = len(stand.provider.requests) - 1
        try:
            if call == 0:
                yield from said
            while True:
                gevent.sleep(0.01)
                yield ReasoningDelta("hm")
        finally:
            ended[call].set()

    stand.provider.script = script
    address = stand.site.open()
    given = reads(address, path, body)
    assert b"partia" in next(given)
    given.close()
    assert ended[0].wait(LIMIT_S)
    host, port = address.removeprefix("http://").split(":")
    raw = b'{"messages":[{"role":"user","content":"hi"}],"last_prompt":"hi"}'
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {len(raw)}\r\n\r\n"
    with socket.create_connection((host, int(port))) as sock:
        sock.sendall(head.encode() + raw)
        with gevent.Timeout(LIMIT_S):
            while len(stand.provider.requests) < 2:
                gevent.sleep(0.005)
    assert ended[1].wait(LIMIT_S)
    with gevent.Timeout(LIMIT_S):
        while len(stand.services.turns):
            gevent.sleep(0.005)


@pytest.mark.parametrize("path", ["/api/chat/completions", "/myapi/v1/chat-bot", "/v1/chat/completions"])
@pytest.mark.parametrize("kind", [TextDelta, ReasoningDelta])
def test_a_call_for_a_whole_answer_ends_too_when_the_client_is_gone(
    stand: Stand, path: str, kind: Callable[[str], Any]
) -> None:
    """However fast the model talks."""
    begun, ended = Event(), Event()

    def script(request: ChatRequest) -> Iterator[Any]:
        try:
            while True:
                begun.set()
                gevent.sleep(0.01)
                yield kind("hm")
        finally:
            ended.set()

    stand.provider.script = script
    raw = json.dumps({**PROXY[1], **WIDGET[1], "max_tokens": 100_000}).encode()
    host, port = stand.site.open().removeprefix("http://").split(":")
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {len(raw)}\r\n\r\n"
    with socket.create_connection((host, int(port))) as sock:
        sock.sendall(head.encode() + raw)
        assert begun.wait(LIMIT_S)
    assert ended.wait(LIMIT_S)


@BOTH
def test_a_silent_model_is_bridged_by_comments(stand: Stand, path: str, body: Any) -> None:
    beat = Event()

    def script(request: ChatRequest) -> Iterator[Any]:
        yield TextDelta("so ")
        beat.wait(LIMIT_S)
        yield TextDelta("on")
        yield Stop("stop")

    stand.provider.script = script
    given = []
    for read in reads(stand.site.open(), path, body):
        given.append(read)
        if read.startswith(b": "):
            beat.set()
    assert b": still here\n\n" in given
    assert b"on" in b"".join(given[given.index(b": still here\n\n") + 1 :])


@BOTH
def test_only_listed_pages_may_ask_where_pages_are_listed(site_env: dict[str, str], path: str, body: Any) -> None:
    stand = Stand({**site_env, "ALLOWED_ORIGINS": "https://shop.example"})
    browser = stand.site.client()
    refused = browser.post(path, json=body, headers={"Origin": "https://evil.example"})
    assert (refused.status_code, "Access-Control-Allow-Origin" in refused.headers) == (403, False)
    assert refused.get_json()["message"]
    answered = browser.post(path, json=body, headers={"Origin": "https://shop.example"})
    assert answered.status_code == 200
    assert answered.headers.getlist("Access-Control-Allow-Origin") == ["https://shop.example"]
    answered.close()
    assert len(stand.provider.requests) == 1
    stand.site.close()


@BOTH
def test_strangers_are_let_in_only_where_guests_are(site_env: dict[str, str], path: str, body: Any) -> None:
    stand = Stand({**site_env, "ALLOW_GUESTS": "false"})
    assert stand.site.client().post(path, json=body).status_code == 401
    ann = stand.site.register("ann")
    answered = stand.site.client().post(path, json=body, headers=ann)
    assert answered.status_code == 200
    answered.close()
    stand.site.close()


@BOTH
def test_an_address_that_asks_without_end_is_slowed(stand: Stand, path: str, body: Any) -> None:
    browser = stand.site.client()
    now = stand.services.clock.monotonic()
    stand.services.clock.monotonic = lambda: now  # type: ignore[method-assign]
    for _ in range(61):
        answer = browser.post(path, json=body)
        answer.close()
        if answer.status_code != 200:
            break
    assert answer.status_code == 429
    assert int(answer.headers["Retry-After"]) >= 1
    assert answer.get_json()["message"]


def test_without_any_model_the_client_is_told(site_env: dict[str, str]) -> None:
    site = Site(site_env, [])
    refused = site.client().post(PROXY[0], json=PROXY[1])
    assert (refused.status_code, refused.get_json()["error"]) == (502, ModelUnavailable.code)
    fallback = site.client().post("/myapi/v1/chat-bot", json=WIDGET[1])
    assert (fallback.status_code, fallback.get_json()["success"]) == (502, False)
    site.close()


def test_the_demo_model_answers_where_no_key_is_set(site_env: dict[str, str]) -> None:
    site = Site(site_env)
    for path, body in (PROXY, WIDGET):
        answer = site.client().post(path, json=body)
        assert (answer.status_code, len(answer.get_data()) > 100) == (200, True)
    site.close()


def test_the_model_is_the_one_the_contract_names(site_env: dict[str, str]) -> None:
    """Chosen by the settings the old servers had; the vendor is not reached here, the refusal comes later."""
    site = Site({**site_env, "DASHSCOPE_API_KEY": "sk-1", "QWEN_MODEL": "qwen-turbo-2025-04-28", "APP_ID": "a1"})
    catalogue = site.services.catalogue
    assert models.application(catalogue) == "bailian-app"
    assert models.first_of(catalogue, "dashscope") == "qwen-turbo-2025-04-28"
    assert models.has(catalogue, "qwen-turbo")
    assert not models.has(catalogue, "gpt-3.5-turbo")
    site.close()


@pytest.fixture
def seeing(site_env: dict[str, str]) -> Iterator[Stand]:
    """A server whose model sees, and which fetches pictures from one host."""
    stand = Stand({**site_env, "CHATBOT_IMAGE_HOSTS": "127.0.0.1, pictures.example"})
    stand.provider.card = replace(stand.provider.card, vision=True)
    yield stand
    stand.site.close()


def shown(stand: Stand, urls: Any, path: str = WIDGET[0]) -> Any:
    answer = stand.site.client().post(path, json={**WIDGET[1], "image_urls": urls})
    answer.get_data()
    return answer


def test_a_widgets_pictures_are_shown_to_the_model(seeing: Stand) -> None:
    """Sent along, or fetched from a host the operator knows; whole answers and streams."""
    sent = data_url("image/png", picture("PNG"))
    served = picture("JPEG")

    def files(environ: Any, start_response: Any) -> list[bytes]:
        start_response("200 OK", [("Content-Type", "image/jpeg")])
        return [served]

    host = WSGIServer(("127.0.0.1", 0), files, log=None)
    host.start()
    home = f"http://127.0.0.1:{host.server_port}"
    # What stands anywhere but at home must be public and behind TLS.
    seeing.services.pictures.fetcher._home = Fetcher(DialSettings(), home=home)._home
    assert shown(seeing, [sent, f"{home}/cat.jpg"]).status_code == 200
    assert shown(seeing, [sent], "/myapi/v1/chat-bot").get_json()["result"] == "hello"
    first, second = seeing.provider.requests
    assert [url.partition(",")[0] for url in first.messages[-1].pictures] == [
        "data:image/png;base64",
        "data:image/jpeg;base64",
    ]
    assert len(second.messages[-1].pictures) == 1
    seeing.audit()
    host.stop()


@pytest.mark.parametrize(
    "urls",
    [
        ["https://elsewhere.example/cat.jpg"],
        ["https://127.0.0.1/cat.jpg"],  # listed, but not public
        ["http://pictures.example/cat.jpg"],  # listed, but in the clear
        ["file:///etc/passwd"],
        ["https://pictures.example@elsewhere.example/cat.jpg"],
        ["data:image/png;base64,!"],
        ["data:image/png,AAAA"],
        [5],
        "https://pictures.example/cat.jpg",
        ["data:image/png;base64,AAAA"] * 5,
    ],
)
def test_a_picture_that_cannot_be_had_is_refused(seeing: Stand, urls: Any) -> None:
    refused = shown(seeing, urls)
    assert (refused.status_code, refused.get_json()["success"]) == (400, False)
    assert refused.get_json()["message"]
    assert seeing.provider.requests == []


def test_a_picture_that_nobody_sees_is_refused(stand: Stand) -> None:
    sent = data_url("image/png", picture("PNG"))
    assert shown(stand, [sent]).status_code == 400
    assert shown(stand, [data_url("image/png", b"no picture")]).status_code == 400
    assert shown(stand, []).status_code == 200


AUTH = "/api/auth"
ANN = {"username": "ann", "password": "abcdefg1", "email": "ann@b.c"}


def test_the_newest_page_can_sign_in(stand: Stand) -> None:
    """A user of its account client is a user of this server; its token pays for the questions asked with it."""
    browser = stand.site.client()
    made = browser.post(f"{AUTH}/register", json=ANN)
    assert made.status_code == 200
    told = made.get_json()
    assert set(told) == {"user", "accessToken", "refreshToken", "expiresIn"}
    assert (told["user"]["username"], told["user"]["email"], told["expiresIn"]) == ("ann", "ann@b.c", 3600)
    opened = browser.post(f"{AUTH}/login", json=ANN).get_json()
    assert opened["user"] == told["user"]
    headers = {"Authorization": f"Bearer {opened['accessToken']}"}
    assert browser.get(f"{AUTH}/me", headers=headers).get_json() == {**told["user"], "user": told["user"]}
    browser.post(PROXY[0], json=PROXY[1], headers=headers).close()
    assert stand.provider.requests[0].user == told["user"]["id"]
    listed = browser.get("/v1/conversations", headers=headers).get_json()["conversations"]
    assert len(listed) == 1


def test_a_refresh_token_fetches_one_pair_and_opens_nothing(stand: Stand) -> None:
    browser = stand.site.client()
    first = browser.post(f"{AUTH}/register", json=ANN).get_json()
    for token in (first["refreshToken"], f"refresh·{first['refreshToken']}"):
        headers = {"Authorization": f"Bearer {token}".encode().decode("latin-1")}
        assert browser.get(f"{AUTH}/me", headers=headers).status_code == 401
    asked = {"refreshToken": first["refreshToken"]}
    answers = [gevent.spawn(stand.site.client().post, f"{AUTH}/refresh", json=asked) for _ in range(5)]
    told = [job.get(timeout=LIMIT_S) for job in answers]
    assert sorted(answer.status_code for answer in told) == [200, 401, 401, 401, 401]
    (second,) = [answer.get_json() for answer in told if answer.status_code == 200]
    headers = {"Authorization": f"Bearer {second['accessToken']}"}
    assert browser.get(f"{AUTH}/me", headers=headers).status_code == 200
    change = {"old": ANN["password"], "new": "another password"}
    assert browser.post("/v1/auth/password", json=change, headers=headers).status_code == 200
    assert browser.post(f"{AUTH}/refresh", json={"refreshToken": second["refreshToken"]}).status_code == 401


@pytest.mark.parametrize(
    ("route", "body", "status", "code"),
    [
        ("register", {**ANN, "username": "ANN"}, 409, "conflict"),
        ("register", {**ANN, "username": "bob", "password": "short"}, 400, "invalid_request"),
        ("register", {"username": "bob"}, 400, "invalid_request"),
        ("login", {**ANN, "password": "wrong password"}, 401, "unauthenticated"),
        ("login", {"username": "nobody", "password": "wrong password"}, 401, "unauthenticated"),
        ("login", {"username": 5, "password": ["x"]}, 400, "invalid_request"),
        ("refresh", {"refreshToken": "made up"}, 401, "unauthenticated"),
        ("refresh", {}, 400, "invalid_request"),
        ("nothing", {}, 404, "Not Found"),
    ],
)
def test_its_account_client_is_refused_in_json(
    stand: Stand, route: str, body: dict[str, Any], status: int, code: str
) -> None:
    browser = stand.site.client()
    browser.post(f"{AUTH}/register", json=ANN)
    refused = browser.post(f"{AUTH}/{route}", json=body)
    assert (refused.status_code, refused.get_json()["error"]) == (status, code)
    assert refused.get_json()["message"]
    assert browser.get(f"{AUTH}/me").status_code == 401
