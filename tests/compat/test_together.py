"""All older backends at once: each keeps what its clients look for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import gevent
import pytest
import requests
from gevent.event import Event

from services.events import Stop, TextDelta
from services.providers.base import ChatRequest
from tests.servers import Site, Stand
from tests.viewers import Device

LIMIT_S = 20


def test_one_health_body_serves_every_probe(site: Site) -> None:
    browser = site.client()
    told = (
        '{"message":"Backend service is running","service":"Bailian-chatbot-backend","status":"ok","version":"1.0.0"}'
    )
    assert browser.get("/health").text == told + "\n"
    assert b'"status":"healthy"' in browser.get("/wp-json/health").data


def test_one_path_has_two_methods_and_two_owners(site: Site) -> None:
    """POST /chat answers cloud-chat's client, GET /chat sends doubao-web's visitor to sign in."""
    browser = site.client()
    asked = browser.post("/chat", json={"message": "hi"})
    assert (asked.status_code, asked.data) == (200, b'{"text": "hello"}\n')
    shown = browser.get("/chat")
    assert (shown.status_code, shown.headers["Location"]) == (302, "/login?next=%2Fchat")


class Asking(NamedTuple):
    """A question that is about to be put through an older backend, and the token its user has on the socket."""

    token: str
    path: str
    body: object
    headers: dict[str, str]


def by_token(site: Site, path: str, body: object) -> Asking:
    """A user of this server, who brings a bearer token."""
    ann = site.register("ann")
    return Asking(ann["Authorization"].removeprefix("Bearer "), path, body, ann)


def on_doubaos_page(site: Site) -> Asking:
    """Someone who registers by the page's form; the socket knows the same browser's user by a token of theirs."""
    browser = site.client()
    browser.post("/register", data={"username": "ann", "password": "secret"})
    session = browser.post("/create-session").get_json()["session_id"]
    cookie = browser.get_cookie("parley_session")
    assert cookie is not None
    headers = {"X-Auth-Token": session, "Cookie": f"parley_session={cookie.value}"}
    token = site.services.accounts.login("ann", "secret").token
    return Asking(token, "/chat-stream", {"message": "hi"}, headers)


def on_sparks_phone(site: Site, path: str) -> Asking:
    """A user of the phone's, whose `uuid` is the token."""
    browser = site.client()
    browser.post("/auth/register", json={"username": "ann", "password": "pw", "email": ""})
    told = browser.post("/auth/login", json={"username": "ann", "password": "pw"}).get_json()
    pair = {"uuid": told["uuid"], "username": told["username"]}
    return Asking(told["uuid"], path, {**pair, "dialog": [{"role": "user", "content": "hi"}]}, {})


@pytest.mark.parametrize(
    "begin",
    [
        lambda site: by_token(site, "/deepseek_chat", {"message": "hi"}),
        lambda site: by_token(site, "/chat", {"message": "hi"}),
        lambda site: by_token(site, "/api/chat/stream", {"messages": [{"role": "user", "content": "hi"}]}),
        lambda site: by_token(site, "/api/chat/completions", {"messages": [{"role": "user", "content": "hi"}]}),
        lambda site: by_token(site, "/myapi/v1/chat-bot", {"last_prompt": "hi"}),
        lambda site: by_token(site, "/myapi/v1/chat-bot/stream", {"last_prompt": "hi"}),
        on_doubaos_page,
        lambda site: on_sparks_phone(site, "/textModel/chat"),
        lambda site: on_sparks_phone(site, "/textModel/stream"),
    ],
    ids=["cloud-chat", "one-shot", "proxy", "proxy whole", "widget whole", "widget", "doubao", "spark whole", "spark"],
)
def test_a_turn_is_watched_live_on_socketio_by_its_user_only(stand: Stand, begin: Callable[[Site], Asking]) -> None:
    """Found there while it runs, followed to its end; another user is told that there is no such turn."""
    watched = Event()

    def script(request: ChatRequest) -> Iterator[Any]:
        yield TextDelta("one ")
        watched.wait(LIMIT_S)
        yield TextDelta("two")
        yield Stop("stop")

    stand.provider.script = script
    address, asking = stand.site.open(), begin(stand.site)
    reading = gevent.spawn(
        requests.post, f"{address}{asking.path}", json=asking.body, headers=asking.headers, timeout=LIMIT_S
    )
    device = Device(address, token=asking.token).connect()
    with gevent.Timeout(LIMIT_S):
        while not (running := device.call("sync")["running"]):
            gevent.sleep(0.01)
    turn = running[0]["turn"]
    device.attach(turn)
    with gevent.Timeout(LIMIT_S):
        while device.seen(turn).text != "one ":
            gevent.sleep(0.01)
    stranger = Device(address).connect()
    assert stranger.call("turn_attach", {"turn": turn, "epoch": 1, "after": 0})["error"]["code"] == "not_found"
    watched.set()
    assert device.seen(turn).whole()["status"] == "done"
    assert device.seen(turn).text == "one two"
    assert reading.get(timeout=LIMIT_S).status_code == 200
    for each in (device, stranger):
        each.leave()
