"""cloud-chat beyond its bytes: sessions, history, two browsers, and how an answer ends."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any

import gevent
import pytest
from flask.testing import FlaskClient
from gevent.event import Event

from services.errors import VendorRefused
from services.events import Stop, TextDelta
from services.identity import Identity
from services.providers.base import ChatMessage, ChatRequest
from tests.compat.readers import LIMIT_S, one_shot_page, reads
from tests.scripted import words
from tests.servers import Site, Stand


def ask(browser: FlaskClient, message: str, **headers: str) -> str:
    answer = browser.post("/deepseek_chat", json={"message": message}, headers=headers)
    assert answer.status_code == 200, answer.text
    return answer.text


def told(stand: Stand, call: int = -1) -> list[tuple[str, str]]:
    """What the model was asked."""
    return [(message.role, message.text) for message in stand.provider.requests[call].messages]


def cookie(browser: FlaskClient) -> Any:
    kept = browser.get_cookie("cc_app")
    assert kept is not None
    return kept


@pytest.fixture
def browser(stand: Stand) -> FlaskClient:
    return stand.site.client()


def test_the_model_hears_both_sides_of_six_rounds(stand: Stand, browser: FlaskClient) -> None:
    """Whole rounds, the first kept message a user's; the same browser goes on where it was."""
    for number in range(8):
        stand.provider.script = words(f"answer {number}")
        ask(browser, f"question {number}")
    expected = [
        message
        for number in range(1, 7)
        for message in (("user", f"question {number}"), ("assistant", f"answer {number}"))
    ]
    assert told(stand) == [*expected, ("user", "question 7")]
    assert (stand.provider.requests[-1].temperature, stand.provider.requests[-1].max_tokens) == (0.7, 2000)


def test_the_system_prompt_stands_before_the_talk(site_env: dict[str, str]) -> None:
    stand = Stand({**site_env, "SYSTEM_PROMPT": "Be a cat.", "CLOUD_CHAT_ROUNDS": "1"})
    browser = stand.site.client()
    for message in ("one", "two", "three"):
        ask(browser, message)
    assert told(stand) == [("system", "Be a cat."), ("user", "two"), ("assistant", "hello"), ("user", "three")]
    stand.site.close()


def test_a_question_that_failed_is_forgotten(stand: Stand, browser: FlaskClient) -> None:
    ask(browser, "first")

    def refused(request: ChatRequest) -> Iterator[Any]:
        raise VendorRefused("No.")

    stand.provider.script = refused
    assert browser.post("/deepseek_chat", json={"message": "second"}).status_code == 502
    stand.provider.script = words("hello")
    ask(browser, "third")
    assert told(stand) == [("user", "first"), ("assistant", "hello"), ("user", "third")]


def test_reset_begins_anew(stand: Stand, browser: FlaskClient) -> None:
    ask(browser, "first")
    for _ in range(2):
        assert browser.post("/reset_chat", data="anything").get_json() == {"status": "Reset chat history successfully"}
    ask(browser, "second")
    assert told(stand) == [("user", "second")]
    ask(browser, "third")
    assert told(stand)[0] == ("user", "second")


def test_the_cookie_is_as_the_contract_says_and_nobody_can_make_one(stand: Stand, browser: FlaskClient) -> None:
    """A session is renewed with every question; one this server did not make is replaced by a fresh one."""
    answer = browser.post("/deepseek_chat", json={"message": "hi"})
    (line,) = answer.headers.getlist("Set-Cookie")
    assert all(part in line for part in ("cc_app=", "Expires=", "HttpOnly", "Path=/", "SameSite=Lax"))
    assert "Secure" not in line
    secure = browser.post("/deepseek_chat", json={"message": "hi"}, headers={"Origin": "https://chat.example"})
    assert "Secure" in secure.headers["Set-Cookie"]
    genuine = cookie(browser).value
    for forged in ("x", "", genuine[:-2] + "AA", "WzEsMl0", "a" * 4000):
        stranger = stand.site.client()
        stranger.set_cookie("cc_app", forged)
        ask(stranger, "who am I?")
        assert told(stand) == [("user", "who am I?")]
        assert cookie(stranger).value not in (forged, genuine)


def test_two_browsers_never_see_each_other(stand: Stand) -> None:
    """Not by their talk, and not by what one leaves in a browser for the next."""
    ann, bob = stand.site.client(), stand.site.client()
    ask(ann, "I am Ann.")
    ask(bob, "I am Bob.")
    ask(ann, "And I?")
    assert told(stand) == [("user", "I am Ann."), ("assistant", "hello"), ("user", "And I?")]
    carol = stand.site.register("carol")
    ask(bob, "Carol was here.", **carol)
    assert told(stand) == [("user", "Carol was here.")]
    ask(bob, "Bob again.")
    assert told(stand)[0] != ("user", "Carol was here.")


def test_a_talk_that_rested_too_long_begins_anew(site_env: dict[str, str]) -> None:
    stand = Stand({**site_env, "SESSION_EXPIRE": "60"})
    browser = stand.site.client()
    ask(browser, "first")
    now_ms = stand.services.clock.now_ms()
    stand.services.clock.now_ms = lambda: now_ms + 61_000  # type: ignore[method-assign]
    browser.set_cookie("cc_app", cookie(browser).value)  # one that ignores its own end
    ask(browser, "second")
    assert told(stand) == [("user", "second")]
    stand.site.close()


def test_two_questions_at_once_are_answered_one_after_the_other(stand: Stand, browser: FlaskClient) -> None:
    ask(browser, "zero")
    going, go_on = Event(), Event()

    def script(request: ChatRequest) -> Iterator[Any]:
        yield TextDelta("slow ")
        going.set()
        go_on.wait(LIMIT_S)
        yield TextDelta("answer")
        yield Stop("stop")

    stand.provider.script = script
    address, sent = stand.site.open(), {"Cookie": f"cc_app={cookie(browser).value}"}
    first = gevent.spawn(lambda: one_shot_page(reads(address, "/deepseek_chat", {"message": "one"}, headers=sent)))
    assert going.wait(LIMIT_S)
    second = gevent.spawn(lambda: one_shot_page(reads(address, "/deepseek_chat", {"message": "two"}, headers=sent)))
    gevent.sleep(0.1)
    assert len(stand.provider.requests) == 2
    go_on.set()
    assert [task.get(timeout=LIMIT_S) for task in (first, second)] == ["slow answer", "slow answer"]
    assert told(stand)[-3:] == [("user", "one"), ("assistant", "slow answer"), ("user", "two")]


@pytest.mark.parametrize("path", ["/chat", "/deepseek_chat"])
def test_the_vendor_call_ends_with_its_reader_and_the_part_is_kept(stand: Stand, path: str) -> None:
    ended = Event()

    def script(request: ChatRequest) -> Iterator[Any]:
        try:
            yield TextDelta("partial")
            while True:
                gevent.sleep(0.01)
                yield TextDelta(".")
        finally:
            ended.set()

    stand.provider.script = script
    ann = stand.site.register("ann")
    given = reads(stand.site.open(), path, {"message": "hi"}, headers=ann)
    assert b"partial" in next(given)
    given.close()
    assert ended.wait(LIMIT_S)
    with gevent.Timeout(LIMIT_S):
        while len(stand.services.turns):
            gevent.sleep(0.005)
    (talk,) = stand.site.client().get("/v1/conversations", headers=ann).get_json()["conversations"]
    messages = stand.site.client().get(f"/v1/conversations/{talk['id']}/messages", headers=ann).get_json()["messages"]
    assert messages[-1]["text"].startswith("partial")
    assert messages[-1]["status"] == "stopped"


def test_a_silent_model_is_bridged_by_empty_lines(stand: Stand) -> None:
    beat = Event()

    def script(request: ChatRequest) -> Iterator[Any]:
        yield TextDelta("so ")
        beat.wait(LIMIT_S)
        yield TextDelta("on")
        yield Stop("stop")

    stand.provider.script = script
    given = []
    for read in reads(stand.site.open(), "/chat", {"message": "hi"}):
        given.append(read)
        if read == b'{"text": ""}\n':
            beat.set()
    assert b"".join(given).replace(b'{"text": ""}\n', b"") == b'{"text": "so "}\n{"text": "on"}\n'


def test_a_user_of_this_server_goes_on_elsewhere(stand: Stand, browser: FlaskClient) -> None:
    """The same conversation on every interface, and live on Socket.IO while it is answered."""
    headers = stand.site.register("ann")
    identity: Identity = stand.services.doorkeeper.by_token(headers["Authorization"].removeprefix("Bearer "))
    running: list[int] = []

    def script(request: ChatRequest) -> Iterator[Any]:
        running.append(len(stand.services.turns.running(identity)))
        yield TextDelta("hello")
        yield Stop("stop")

    stand.provider.script = script
    ask(browser, "first", **headers)
    ask(browser, "second", **headers)
    assert running == [1, 1]
    (talk,) = stand.site.client().get("/v1/conversations", headers=headers).get_json()["conversations"]
    assert talk["title"] == "first"
    assert told(stand) == [("user", "first"), ("assistant", "hello"), ("user", "second")]


def test_the_stateless_route_knows_no_past(stand: Stand, browser: FlaskClient) -> None:
    browser.post("/chat", json={"message": "first"}).close()
    browser.post("/chat", json={"message": "second"}).close()
    assert told(stand) == [("user", "second")]
    assert stand.provider.requests[-1].top_p == 0.8
    assert stand.provider.requests[-1].messages == (ChatMessage("user", "second"),)


def test_too_much_is_refused(stand: Stand, browser: FlaskClient) -> None:
    answer = browser.post("/deepseek_chat", json={"message": "x" * 32_001})
    assert (answer.status_code, answer.get_json()) == (413, {"error": "message must have at most 32000 characters."})
    now = stand.services.clock.monotonic()
    stand.services.clock.monotonic = lambda: now  # type: ignore[method-assign]
    for _ in range(61):
        answer = browser.post("/chat", json={"message": "hi"})
        answer.close()
        if answer.status_code != 200:
            break
    assert (answer.status_code, list(answer.get_json())) == (429, ["error"])
    assert int(answer.headers["Retry-After"]) >= 1


def test_a_picture_is_paid_for_by_who_asked(stand: Stand, browser: FlaskClient) -> None:
    """It is among the user's pictures, of the size that is set; one that fails costs nothing."""
    ann, bob = stand.site.register("ann"), stand.site.register("bob")
    drawn = browser.post("/generate_image", json={"prompt": "a red house"}, headers=ann)
    (address,) = drawn.get_json()["image_urls"]
    (kept,) = stand.site.client().get("/v1/pictures", headers=ann).get_json()["pictures"]
    assert (kept["width"], kept["height"]) == (512, 512)
    whole = stand.site.client().get(kept["url"], headers=ann).data
    assert base64.b64decode(address.partition(",")[2]) == whole
    assert stand.site.client().get("/v1/pictures", headers=bob).get_json()["pictures"] == []
    assert quota(stand, ann)["pictures"] == quota(stand, bob)["pictures"] - 1


def test_of_many_requests_on_the_last_picture_exactly_one_succeeds(site_env: dict[str, str], database_url: str) -> None:
    stand = Stand({**site_env, "DATABASE_URL": database_url, "INITIAL_PICTURES": "1"})
    ann = stand.site.register("ann")

    def draw() -> Any:
        return stand.site.client().post("/generate_image", json={"prompt": "a red house"}, headers=ann)

    jobs = [gevent.spawn(draw) for _ in range(20)]
    gevent.joinall(jobs, timeout=60, raise_error=True)
    statuses = sorted(job.value.status_code for job in jobs)
    assert statuses == [200] + [402] * 19
    assert {tuple(job.value.get_json()) for job in jobs if job.value.status_code != 200} == {("error",)}
    assert quota(stand, ann)["pictures"] == 0
    stand.audit()
    stand.site.close()


def test_a_painter_that_fails_is_told_as_ever(stand: Stand, browser: FlaskClient) -> None:
    def fails(*_: object) -> None:
        raise VendorRefused("No.")

    headers = stand.site.register("ann")
    before = quota(stand, headers)
    stand.services.pictures.painters.find = fails  # type: ignore[method-assign, assignment]
    answer = browser.post("/generate_image", json={"prompt": "a red house"}, headers=headers)
    assert (answer.status_code, answer.data) == (500, b'{"error":"Failed to generate image"}\n')
    assert quota(stand, headers) == before


def quota(stand: Stand, headers: dict[str, str]) -> Any:
    return stand.site.client().get("/v1/auth/me", headers=headers).get_json()["quota"]


def test_the_demo_model_answers_where_no_key_is_set(site_env: dict[str, str]) -> None:
    site = Site(site_env)
    assert len(ask(site.client(), "hi")) > 100
    site.close()
