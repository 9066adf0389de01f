"""All older backends at once: each keeps what its clients look for."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

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


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/deepseek_chat", {"message": "hi"}),
        ("/chat", {"message": "hi"}),
        ("/api/chat/stream", {"messages": [{"role": "user", "content": "hi"}]}),
        ("/myapi/v1/chat-bot", {"last_prompt": "hi"}),
    ],
)
def test_a_turn_is_watched_live_on_socketio_by_its_user_only(stand: Stand, path: str, body: object) -> None:
    """Found there while it runs, followed to its end; another user is told that there is no such turn."""
    watched = Event()

    def script(request: ChatRequest) -> Iterator[Any]:
        yield TextDelta("one ")
        watched.wait(LIMIT_S)
        yield TextDelta("two")
        yield Stop("stop")

    stand.provider.script = script
    address, ann = stand.site.open(), stand.site.register("ann")
    reading = gevent.spawn(requests.post, f"{address}{path}", json=body, headers=ann, timeout=LIMIT_S)
    device = Device(address, token=ann["Authorization"].removeprefix("Bearer ")).connect()
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
