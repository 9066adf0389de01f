"""spark-mobile's accounts and text routes, to the byte, as its contract has them."""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Iterator
from typing import Any

import gevent
import pytest
import requests
from flask.testing import FlaskClient
from gevent.event import Event

from blueprints.compat import spark_mobile_text
from services.errors import VendorOverloaded
from services.events import ReasoningDelta, Stop, TextDelta, Usage
from services.providers.base import ChatMessage, ChatRequest
from services.turns.turns import START
from tests.scripted import words
from tests.servers import Site, Stand

Pair = dict[str, str]
DIALOG = [{"role": "system", "content": ""}, {"role": "user", "content": "你好"}]


def member(client: FlaskClient, name: str = "ann") -> Pair:
    """A new user's `uuid` and `username`."""
    client.post("/auth/register", json={"username": name, "password": "pw", "email": ""})
    told = client.post("/auth/login", json={"username": name, "password": "pw"}).get_json()
    return {"uuid": told["uuid"], "username": told["username"]}


def ask(client: FlaskClient, pair: Pair, route: str = "/textModel/chat", dialog: Any = DIALOG) -> Any:
    return client.post(route, json={**pair, "dialog": dialog})


@pytest.fixture
def site_env(site_env: dict[str, str]) -> dict[str, str]:
    return {**site_env, "INITIAL_TOKENS": "5000", "INITIAL_PICTURES": "3"}


def test_an_account_is_made_and_opened(site: Site) -> None:
    client = site.client()
    made = client.post("/auth/register", json={"username": " ann ", "password": " pw ", "email": "a@b.c"})
    assert (made.status_code, made.data) == (
        200,
        '{"code":0,"msg":"注册成功"}\n'.encode().decode().encode("ascii", "backslashreplace"),
    )
    opened = client.post("/auth/login", json={"username": "ann", "password": "pw"})
    uuid = opened.get_json()["uuid"]
    assert re.fullmatch("[0-9a-f]{32}", uuid)
    assert opened.data == (
        b'{"code":0,"msg":"\\u6b22\\u8fce","picTimes":3,"tokens":5000,"username":"ann","uuid":"%b"}\n' % uuid.encode()
    )
    assert opened.content_type == "application/json"
    assert opened.headers["Access-Control-Allow-Origin"] == "*"
    again = client.post("/auth/login", json={"username": "ann", "password": "pw"})
    assert again.data == opened.data


@pytest.mark.parametrize(
    ("route", "body", "code"),
    [
        ("/auth/register", {"username": "ANN", "password": "pw", "email": ""}, "USER_NAME_REPEAT"),
        ("/auth/register", {"password": "pw"}, "REGISTER_ERROR"),
        ("/auth/register", {"username": "bob", "password": "pw", "email": "nowhere"}, "REGISTER_ERROR"),
        ("/auth/register", {"username": "x" * 81, "password": "pw"}, "REGISTER_ERROR"),
        ("/auth/login", {"username": "ann", "password": "wrong"}, "LOGIN_ERROR"),
        ("/auth/login", {"username": "nobody", "password": "pw"}, "LOGIN_ERROR"),
        ("/auth/login", {"username": ["ann"], "password": 5}, "LOGIN_ERROR"),
        ("/textModel/chat", {"uuid": "0" * 32, "username": "ann", "dialog": DIALOG}, "USER_NOT_FOUND"),
        ("/textModel/chat", {}, "USER_NOT_FOUND"),
        ("/textModel/stream", {"uuid": 7, "username": "ann", "dialog": DIALOG}, "USER_NOT_FOUND"),
        ("/textModel/nothing", {}, "APP_NOT_FOUND_ERROR"),
    ],
)
def test_a_refusal_has_a_code_a_sentence_and_status_200(site: Site, route: str, body: Any, code: str) -> None:
    client = site.client()
    member(client)
    refused = client.post(route, json=body)
    told = refused.get_json()
    assert (refused.status_code, told["code"], set(told)) == (200, code, {"code", "msg"})
    assert re.search("[\u4e00-\u9fff]", told["msg"])


def test_what_is_not_json_or_not_a_post_is_refused_in_shape(site: Site) -> None:
    client = site.client()
    assert client.post("/auth/login", data=b"{").get_json()["code"] == "LOGIN_ERROR"
    assert client.post("/auth/login", data=b"[]").get_json()["code"] == "LOGIN_ERROR"
    assert client.get("/auth/login").get_json()["code"] == "APP_QUERY_METHOD_ERROR"
    assert client.get("/auth/login").status_code == 200


@pytest.mark.parametrize(
    "dialog",
    [
        None,
        "hi",
        [],
        [{"role": "tool", "content": "x"}],
        [{"role": "user", "content": " "}],
        [{"role": "user", "content": 5}],
        [{"role": "assistant", "content": "x"}],
    ],
)
def test_a_dialog_that_asks_nothing_is_refused(stand: Stand, dialog: Any) -> None:
    client = stand.site.client()
    pair = member(client)
    for route in ("/textModel/chat", "/textModel/stream"):
        assert ask(client, pair, route, dialog).get_json()["code"] == "MODEL_ERROR"
    assert stand.provider.requests == []


def test_a_whole_answer_is_charged_by_the_vendors_count(stand: Stand) -> None:
    stand.provider.script = words("你", "好", usage=Usage(7, 2))
    client = stand.site.client()
    pair = member(client)
    dialog = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "a"},
              {"role": "assistant", "content": "b"}, {"role": "user", "content": "c"}]  # fmt: skip

    told = ask(client, pair, dialog=dialog)

    assert told.data == b'{"code":0,"consume_token":9,"content":"\\u4f60\\u597d","msg":"\\u6210\\u529f"}\n'
    asked = stand.provider.requests[0]
    assert asked.messages == (
        ChatMessage("system", "Be brief."),
        ChatMessage("user", "a"),
        ChatMessage("assistant", "b"),
        ChatMessage("user", "c"),
    )
    assert (asked.temperature, asked.max_tokens) == (0.5, 4096)
    login = client.post("/auth/login", json={"username": "ann", "password": "pw"}).get_json()
    assert login["tokens"] == 5000 - 9


def test_empty_system_messages_are_dropped(stand: Stand) -> None:
    ask(stand.site.client(), member(stand.site.client()))
    assert stand.provider.requests[0].messages == (ChatMessage("user", "你好"),)


def test_a_stream_is_frames_glued_together(stand: Stand) -> None:
    """One frame a write; numbers, states and the cost are in their places."""
    stand.provider.script = words("He", "y", usage=Usage(7, 2))
    client = stand.site.client()
    told = ask(client, member(client), "/textModel/stream")
    units = list(told.iter_encoded())
    sid = json.loads(units[0])["header"]["sid"].encode()
    assert (told.status_code, told.content_type) == (200, "text/plain; charset=utf-8")
    assert told.headers["X-Content-Type-Options"] == "nosniff"
    assert b"".join(units[:-1]) in (
        b'{"header":{"code":0,"message":"Success","sid":"%b","status":0},"payload":{"choices":{"status":0,"seq":0,'
        b'"text":[{"content":"He","role":"assistant","index":0}]}}}'
        b'{"header":{"code":0,"message":"Success","sid":"%b","status":1},"payload":{"choices":{"status":1,"seq":1,'
        b'"text":[{"content":"y","role":"assistant","index":0}]}}}' % (sid, sid),
        b'{"header":{"code":0,"message":"Success","sid":"%b","status":0},"payload":{"choices":{"status":0,"seq":0,'
        b'"text":[{"content":"Hey","role":"assistant","index":0}]}}}' % sid,
    )
    assert units[-1] == (
        b'{"header":{"code":0,"message":"Success","sid":"%b","status":2},"payload":{"choices":{"status":2,"seq":%d,'
        b'"text":[{"content":"","role":"assistant","index":0}]},"usage":{"text":{"question_tokens":%d,'
        b'"prompt_tokens":7,"completion_tokens":2,"total_tokens":9}}}}'
        % (sid, len(units) - 1, json.loads(units[-1])["payload"]["usage"]["text"]["question_tokens"])
    )


def test_a_failure_before_the_first_piece_is_one_object(stand: Stand) -> None:
    def fail(request: ChatRequest) -> Iterator[Any]:
        yield from ()
        raise VendorOverloaded("busy")

    stand.provider.script = fail
    client = stand.site.client()
    pair = member(client)
    for route in ("/textModel/stream", "/textModel/chat"):
        told = ask(client, pair, route)
        assert (told.status_code, told.content_type, told.get_json()["code"]) == (
            200,
            "application/json",
            "MODEL_ERROR",
        )


def test_a_failure_midway_ends_with_an_object_of_its_own(stand: Stand) -> None:
    def fail(request: ChatRequest) -> Iterator[Any]:
        yield TextDelta("half")
        raise VendorOverloaded("busy")

    stand.provider.script = fail
    client = stand.site.client()
    units = list(ask(client, member(client), "/textModel/stream").iter_encoded())
    assert json.loads(units[0])["payload"]["choices"]["text"][0]["content"] == "half"
    assert json.loads(units[-1])["code"] == "MODEL_ERROR"


@pytest.mark.parametrize("said", [0, 1])
def test_a_client_that_hangs_up_stops_its_answer(stand: Stand, said: int) -> None:
    """Before the first piece and midway; what had come is kept."""
    begun, ended = Event(), Event()

    def script(request: ChatRequest) -> Iterator[Any]:
        begun.set()
        try:
            yield from [TextDelta("partial")] * said
            while True:
                gevent.sleep(0.01)
                yield ReasoningDelta("hm")
        finally:
            ended.set()

    stand.provider.script = script
    pair = member(stand.site.client())
    body = json.dumps({**pair, "dialog": DIALOG}).encode()
    host, port = stand.site.open().removeprefix("http://").split(":")
    head = f"POST /textModel/stream HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n"
    with socket.create_connection((host, int(port))) as sock:
        sock.sendall(head.encode() + body)
        assert begun.wait(10)
        if said:
            assert b"200 OK" in sock.recv(4096)
    assert ended.wait(10)
    ann = stand.services.doorkeeper.by_token(pair["uuid"])
    with gevent.Timeout(10):
        while stand.services.turns.running(ann):
            gevent.sleep(0.005)
    newest = stand.services.conversations.list(ann.user_id, limit=1).items[0]
    told = stand.services.conversations.messages(ann.user_id, newest.id, limit=10).items[-1]
    assert (told.text, told.status) == ("partial" * said, "stopped")


def test_a_silent_model_is_bridged_by_empty_frames(stand: Stand, monkeypatch: pytest.MonkeyPatch) -> None:
    """The one sign of life that both clients survive."""
    monkeypatch.setattr(spark_mobile_text, "SILENCE_S", 0.5)
    beat = Event()

    def script(request: ChatRequest) -> Iterator[Any]:
        yield TextDelta("so ")
        beat.wait(10)
        yield TextDelta("on")
        yield Stop("stop")

    stand.provider.script = script
    client = stand.site.client()
    pair, texts = member(client), []
    answer = requests.post(
        f"{stand.site.open()}/textModel/stream", json={**pair, "dialog": DIALOG}, stream=True, timeout=10
    )
    for chunk in answer.raw.read_chunked(decode_content=False):
        texts.append(json.loads(chunk)["payload"]["choices"]["text"][0]["content"])
        if texts[-1] == "":
            beat.set()
    assert "".join(texts) == "so on"
    assert texts[0] == "so " and "" in texts[1 : texts.index("on")]


def test_the_newest_clients_stream_is_a_switch_away(site_env: dict[str, str]) -> None:
    switched = Stand({**site_env, "SPARK_CHAT_MODE": "stream"})
    try:
        client = switched.site.client()
        told = ask(client, member(client))
        assert told.content_type == "text/plain; charset=utf-8"
        assert b'"status":2' in told.data
    finally:
        switched.site.close()


def test_an_empty_account_is_told_so_and_asks_nobody(site_env: dict[str, str]) -> None:
    poor = Stand({**site_env, "INITIAL_TOKENS": "0"})
    try:
        client = poor.site.client()
        pair = member(client)
        for route in ("/textModel/chat", "/textModel/stream"):
            assert ask(client, pair, route).get_json()["code"] == "TOKEN_NOT_ENOUGH"
        assert poor.provider.requests == []
    finally:
        poor.audit()
        poor.site.close()


def test_a_pair_of_two_users_is_nobodys(stand: Stand) -> None:
    client = stand.site.client()
    ann, bob = member(client, "ann"), member(client, "bob")
    for pair in ({**ann, "username": "bob"}, {**ann, "uuid": bob["uuid"]}):
        assert ask(client, pair).get_json()["code"] == "USER_NOT_FOUND"
    assert stand.provider.requests == []


def test_pairs_cannot_be_guessed_for_long(stand: Stand) -> None:
    client = stand.site.client()
    told = [ask(client, {"uuid": f"{n:032x}", "username": "ann"}).get_json() for n in range(80)]
    assert {answer["code"] for answer in told} == {"USER_NOT_FOUND"}
    assert told[-1]["msg"] != told[0]["msg"]
    assert ask(client, member(client)).get_json()["code"] == 0


def test_a_turn_can_be_watched_by_its_user_alone(stand: Stand) -> None:
    """It is a turn like any other: on `/v1/turns` and, by the same log, on `/text`."""
    begun, go = Event(), Event()

    def script(request: ChatRequest) -> Iterator[Any]:
        begun.set()
        yield TextDelta("first")
        go.wait(10)
        yield Stop("stop")

    stand.provider.script = script
    client = stand.site.client()
    ann, bob = (stand.services.doorkeeper.by_token(member(client, name)["uuid"]) for name in ("ann", "bob"))
    pair = member(client, "ann")
    asking = gevent.spawn(ask, client, pair)
    assert begun.wait(10)
    running = stand.services.turns.running(ann)
    following = stand.services.turns.attach(ann, running[0].log.turn_id, START)
    assert following.log is running[0].log
    assert stand.services.turns.running(bob) == []
    go.set()
    assert asking.get(timeout=10).get_json()["content"] == "first"
