"""doubao-web's pages, forms, conversations and plain-text reply, as its contract has them."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gevent
import pytest
import requests
from flask.testing import FlaskClient
from gevent.event import Event

from config import ConfigError
from services.errors import VendorOverloaded
from services.events import ReasoningDelta, Stop, TextDelta
from services.identity import Identity
from services.providers.base import ChatMessage, ChatRequest
from services.turns.running import RunningTurn
from services.turns.turns import START
from tests.compat.replies import REPLIES, ROOM, give
from tests.scripted import words
from tests.servers import Site, Stand

FORM = {"username": "ann", "password": "secret"}


def member(site: Site, name: str = "ann") -> FlaskClient:
    client = site.client()
    assert client.post("/register", data={**FORM, "username": name}).status_code == 302
    return client


def session_of(client: FlaskClient) -> str:
    return str(client.post("/create-session").get_json()["session_id"])


def ask(client: FlaskClient, session: str, message: Any = "hi") -> Any:
    """The reply, once it is whole."""
    reply = client.post("/chat-stream", json={"message": message}, headers={"X-Auth-Token": session})
    reply.get_data()
    return reply


def user_of(stand: Stand, name: str = "ann") -> Identity:
    return stand.services.accounts.login(name, FORM["password"]).identity


def test_a_visitor_is_sent_to_the_login_page_and_told_why(site: Site) -> None:
    client = site.client()
    sent = client.get("/chat")
    assert (sent.status_code, sent.headers["Location"]) == (302, "/login?next=%2Fchat")
    page = client.get("/login")
    assert (page.status_code, page.mimetype) == (200, "text/html")
    assert "Please log in" in page.text
    assert "Please log in" not in client.get("/login").text
    assert re.search(r'<form method="post" action="/login">.*name="username".*name="password"', page.text, re.DOTALL)


def test_an_account_is_made_and_opened_by_forms(site: Site) -> None:
    client = site.client()
    made = client.post("/register", data=FORM)
    assert (made.status_code, made.headers["Location"]) == (302, "/chat")
    cookie = made.headers["Set-Cookie"]
    assert "HttpOnly" in cookie and "Path=/" in cookie and "SameSite=Lax" in cookie
    assert "ann" in client.get("/chat").text

    gone = client.post("/logout")
    assert (gone.status_code, gone.data) == (200, b'{"success":true}\n')
    assert client.get("/chat").status_code == 302
    assert client.post("/logout").data == b'{"success":true}\n'

    back = client.post("/login?next=%2Felsewhere", data=FORM)
    assert (back.status_code, back.headers["Location"]) == (302, "/chat")


@pytest.mark.parametrize(
    ("form", "said"),
    [
        ({"username": "ANN", "password": "secret"}, "taken"),
        ({"username": "bob", "password": "short"}, "password"),
        ({"username": "", "password": "secret"}, "name"),
        ({"username": "x" * 81, "password": "secret"}, "name"),
        ({}, "password"),
    ],
)
def test_a_form_that_cannot_be_is_shown_again(site: Site, form: dict[str, str], said: str) -> None:
    member(site)
    client = site.client()
    refused = client.post("/register", data=form)
    assert (refused.status_code, refused.headers["Location"]) == (302, "/register")
    assert said in client.get("/register").text
    assert client.get("/chat").status_code == 302


@pytest.mark.parametrize("form", [{**FORM, "password": "wrong!"}, {**FORM, "username": "nobody"}, {}])
def test_a_wrong_sign_in_shows_the_form_with_a_message(site: Site, form: dict[str, str]) -> None:
    member(site)
    refused = site.client().post("/login", data=form, headers={"Accept-Language": "zh-CN"})
    assert refused.status_code == 200
    assert "用户名或密码错误。" in refused.text


def test_guessing_is_slowed_down(site: Site) -> None:
    member(site)
    client = site.client()
    statuses = [client.post("/login", data={**FORM, "password": f"wrong{n}"}).status_code for n in range(10)]
    assert statuses[0] == 200 and statuses[-1] == 429


def test_a_conversation_is_opened_once_until_it_is_used(site: Site) -> None:
    client = member(site)
    first = client.post("/create-session")
    assert re.fullmatch(
        rb'\{"created_at":"\d{4}-\d\d-\d\d \d\d:\d\d","is_new":true,'
        rb'"session_id":"[A-Za-z0-9_-]{1,36}","success":true\}\n',
        first.data,
    )
    again = client.post("/create-session").get_json()
    assert again == {**first.get_json(), "is_new": False}
    ask(client, again["session_id"])
    assert client.post("/create-session").get_json()["is_new"] is True


def test_a_double_click_makes_one_conversation(either_stand: Stand) -> None:
    client = member(either_stand.site)
    cookie = client.get_cookie("parley_session")
    assert cookie is not None

    def click() -> str:
        other = either_stand.site.client()
        other.set_cookie("parley_session", cookie.value)
        return session_of(other)

    clicks = [gevent.spawn(click) for _ in range(8)]
    gevent.joinall(clicks, raise_error=True)
    assert len({job.value for job in clicks}) == 1


def test_the_reply_is_bare_text_and_is_kept(stand: Stand) -> None:
    stand.provider.script = words("Hel", "lo 你好")
    client = member(stand.site)
    session = session_of(client)
    reply = ask(client, session, "Hi")
    assert (reply.status_code, reply.content_type, reply.data.decode()) == (
        200, "text/plain; charset=utf-8", "Hello 你好"
    )  # fmt: skip
    assert "Content-Length" not in reply.headers
    kept = client.get(f"/get-messages?session_id={session}")
    assert re.fullmatch(
        rb'\[\{"content":"Hi","role":"user","time":"\d\d:\d\d"\},'
        rb'\{"content":"Hello \\u4f60\\u597d","role":"assistant","time":"\d\d:\d\d"\}\]\n',
        kept.data,
    )
    assert "Hello 你好..." in client.get("/chat").text
    ask(client, session, "More")
    assert stand.provider.requests[-1].messages == (
        ChatMessage("user", "Hi"), ChatMessage("assistant", "Hello 你好"), ChatMessage("user", "More")
    )  # fmt: skip


def test_the_list_begins_with_the_newest(stand: Stand) -> None:
    client = member(stand.site)
    sessions = []
    for _ in range(3):
        sessions.append(session_of(client))
        ask(client, sessions[-1])
    ask(client, sessions[0])
    assert re.findall(r'data-session="([^"]+)"', client.get("/chat").text) == sessions[::-1]


def test_the_preview_is_escaped(stand: Stand) -> None:
    stand.provider.script = words("<img src=x onerror=1>")
    client = member(stand.site)
    ask(client, session_of(client))
    page = client.get("/chat")
    assert "<img" not in page.text and "&lt;img src=x onerror=1..." in page.text
    assert "script-src 'nonce-" in page.headers["Content-Security-Policy"]


def test_without_a_login_nothing_is_told_or_stored(stand: Stand) -> None:
    session = session_of(member(stand.site))
    stranger = stand.site.client()
    for method, path, status, body in (
        ("POST", "/create-session", 401, b'{"error":"Please log in first.","success":false}\n'),
        ("GET", f"/get-messages?session_id={session}", 401, b"[]\n"),
        ("POST", "/chat-stream", 401, b"Please log in first."),
    ):
        refused = stranger.open(path, method=method, headers={"X-Auth-Token": session}, json={"message": "hi"})
        assert (refused.status_code, refused.data) == (status, body)
    assert stand.provider.requests == []


def test_two_users_do_not_see_each_other(stand: Stand) -> None:
    ann, bob = member(stand.site), member(stand.site, "bob")
    session = session_of(ann)
    ask(ann, session, "a secret")
    hidden = bob.get(f"/get-messages?session_id={session}")
    assert (hidden.status_code, hidden.data) == (404, b"[]\n")
    refused = ask(bob, session, "mine now")
    assert (refused.status_code, refused.mimetype) == (404, "text/plain")
    assert session not in bob.get("/chat").text
    assert len(stand.provider.requests) == 1
    assert ann.get(f"/get-messages?session_id={session}").get_json()[0]["content"] == "a secret"


@pytest.mark.parametrize("body", [b"", b"{}", b'{"message":""}', b'{"message":" "}', b'{"message":5}', b"[]", b"{"])
def test_what_asks_nothing_is_refused_in_a_sentence(stand: Stand, body: bytes) -> None:
    client = member(stand.site)
    refused = client.post(
        "/chat-stream", data=body, content_type="application/json", headers={"X-Auth-Token": session_of(client)}
    )
    assert (refused.status_code, refused.mimetype) == (400, "text/plain")
    assert re.fullmatch(r"[^<>{}\n]{1,100}", refused.text)
    assert client.get("/get-messages").get_json() == []
    assert client.get("/get-messages?session_id=c_unknown").status_code == 404


def test_one_answer_at_a_time_in_a_conversation(stand: Stand) -> None:
    begun, go = Event(), Event()

    def script(request: ChatRequest) -> Iterator[Any]:
        begun.set()
        go.wait(10)
        yield TextDelta("done")
        yield Stop("stop")

    stand.provider.script = script
    client = member(stand.site)
    session = session_of(client)
    asking = gevent.spawn(ask, client, session)
    assert begun.wait(10)
    refused = ask(client, session, "me too")
    assert (refused.status_code, refused.mimetype) == (409, "text/plain")
    go.set()
    assert asking.get(timeout=10).text == "done"
    assert len(client.get(f"/get-messages?session_id={session}").get_json()) == 2


def test_of_many_questions_at_once_at_two_servers_one_is_answered(
    either_stand: Stand, database_url: str, site_env: dict[str, str]
) -> None:
    """Whichever process they come to: the database decides."""
    stands = [either_stand, Stand({**site_env, "DATABASE_URL": database_url})]
    go = Event()

    def script(request: ChatRequest) -> Iterator[Any]:
        go.wait(10)
        yield TextDelta("done")
        yield Stop("stop")

    for stand in stands:
        stand.provider.script = script
    opening, looked = stands[0].services.text_turns._opening, Event()
    look = opening._parent

    def slowly(*args: Any) -> Any:
        """Whoever could slip in between the look and the question has the time."""
        parent = look(*args)
        looked.set()
        gevent.sleep(0.2)
        return parent

    opening._parent = slowly  # type: ignore[assignment,method-assign]
    client = member(stands[0].site)
    session, cookie = session_of(client), client.get_cookie("parley_session")
    assert cookie is not None

    def click(number: int) -> tuple[int, str]:
        other = stands[number % 2].site.client()
        other.set_cookie("parley_session", cookie.value)
        reply = ask(other, session, f"question {number}")
        return reply.status_code, reply.text

    clicks = [gevent.spawn(click, 0)]
    assert looked.wait(10)
    clicks += [gevent.spawn(click, number) for number in range(1, 10)]
    with gevent.Timeout(20):
        while sum(click.ready() for click in clicks) < 9:
            gevent.sleep(0.01)
    go.set()
    gevent.joinall(clicks, timeout=20, raise_error=True)
    told = sorted(click.value for click in clicks)
    assert told[0] == (200, "done")
    assert [status for status, _ in told[1:]] == [409] * 9
    assert len(client.get(f"/get-messages?session_id={session}").get_json()) == 2
    stands[1].site.close()


def test_a_failure_before_the_first_word_has_its_status(stand: Stand) -> None:
    def fail(request: ChatRequest) -> Iterator[Any]:
        yield ReasoningDelta("hm")
        raise VendorOverloaded("The model is busy.")

    stand.provider.script = fail
    client = member(stand.site)
    session = session_of(client)
    refused = ask(client, session)
    assert (refused.status_code, refused.mimetype) == (503, "text/plain")
    assert refused.text == "The model is busy."
    stand.provider.script = words("better")
    assert ask(client, session, "again").text == "better"


def test_a_failure_midway_ends_with_a_note_and_is_kept(stand: Stand) -> None:
    def fail(request: ChatRequest) -> Iterator[Any]:
        yield TextDelta("half")
        raise VendorOverloaded("busy")

    stand.provider.script = fail
    client = member(stand.site)
    session = session_of(client)
    assert ask(client, session).text == "half\n\n[The answer broke off; please ask again.]"
    assert client.get(f"/get-messages?session_id={session}").get_json()[1]["content"] == "half"


def test_an_answer_goes_on_when_its_reader_has_left(stand: Stand) -> None:
    """It is stored, and its user can watch it live meanwhile."""
    said, go = Event(), Event()

    def script(request: ChatRequest) -> Iterator[Any]:
        yield TextDelta("first ")
        said.set()
        go.wait(20)
        yield TextDelta("last")
        yield Stop("stop")

    stand.provider.script = script
    client = member(stand.site)
    session = session_of(client)
    cookie = client.get_cookie("parley_session")
    assert cookie is not None
    with requests.Session() as browser:
        browser.cookies.set("parley_session", cookie.value)
        headers = {"X-Auth-Token": session}
        answer = browser.post(
            f"{stand.site.open()}/chat-stream", json={"message": "hi"}, headers=headers, stream=True, timeout=10
        )
        assert next(answer.iter_content(64)) == b"first "
        answer.close()
    assert said.wait(10)
    ann = user_of(stand)
    running = stand.services.turns.running(ann)[0]
    watched = stand.services.turns.attach(ann, running.log.turn_id, START)
    assert watched.conversation == session
    go.set()
    assert isinstance(running, RunningTurn)
    assert running.runner.wait(10) is not None
    assert client.get(f"/get-messages?session_id={session}").get_json()[1]["content"] == "first last"


def test_fifty_long_answers_are_read_whole(site_env: dict[str, str]) -> None:
    """The page decodes the bytes as they come, wherever they are cut."""
    stand = Stand({**site_env, **ROOM})
    said, client = give(stand), member(stand.site)
    cookie = client.get_cookie("parley_session")
    assert cookie is not None
    address, session = stand.site.open(), session_of(client)
    for number in range(REPLIES):
        answer = requests.post(
            f"{address}/chat-stream",
            json={"message": f"question {number}"},
            headers={"X-Auth-Token": session},
            cookies={"parley_session": cookie.value},
            stream=True,
            timeout=30,
        )
        decoder = codecs.getincrementaldecoder("utf-8")()
        shown = "".join(decoder.decode(piece) for piece in answer.iter_content(7)) + decoder.decode(b"", final=True)
        assert shown == said[f"question {number}"]
    stand.audit()
    stand.site.close()


def test_a_foreign_page_can_make_nobody_do_anything(stand: Stand) -> None:
    client = member(stand.site)
    for headers in ({"Origin": "https://evil.example"}, {"Origin": "null"}, {"Sec-Fetch-Site": "cross-site"}):
        for path in ("/logout", "/login", "/register", "/create-session", "/chat-stream"):
            assert client.post(path, data=FORM, headers=headers).status_code == 403
    assert client.get("/chat").status_code == 200


def test_an_operators_templates_take_the_place_of_ours(site_env: dict[str, str], tmp_path: Path) -> None:
    """With the context the original ones expect, and a policy that lets them load the one library they name."""
    for name in ("login.html", "register.html"):
        (tmp_path / name).write_text("{{ url_for('login') }} {{ url_for('register') }} {{ get_flashed_messages() }}")
    library = "https://cdn.example/npm/marked/marked.min.js"
    (tmp_path / "chat.html").write_text(
        f'<script src="{library}"></script>{{{{ current_user.id and current_user.username }}}}'
        "{% for s in sessions %}<a onclick=\"load('{{ s.id }}')\">{{ s.created_at }} {{ s.preview }}</a>{% endfor %}"
    )
    stand = Stand({**site_env, "DOUBAO_TEMPLATES": str(tmp_path)})
    try:
        assert stand.site.client().get("/login").text == "/login /register []"
        client = member(stand.site)
        session = session_of(client)
        page = client.get("/chat")
        assert f"load('{session}')" in page.text and "New conversation" in page.text and "ann" in page.text
        assert f"script-src 'self' 'unsafe-inline' {library};" in page.headers["Content-Security-Policy"]
    finally:
        stand.site.close()


def test_a_folder_without_the_templates_is_refused(site_env: dict[str, str], tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="DOUBAO_TEMPLATES"):
        Stand({**site_env, "DOUBAO_TEMPLATES": str(tmp_path)})
