"""cloud-chat's later accounts: two users, their cookies, their mail."""

from __future__ import annotations

import re
from collections.abc import Iterator
from email import message_from_string, policy
from typing import Any

import gevent
import pytest
from flask.testing import FlaskClient
from gevent.queue import Queue
from gevent.server import StreamServer

from config import ConfigError
from tests.compat.test_cloud_chat import ask, told
from tests.servers import Site, Stand

LIMIT_S = 10
ANN = {"email": "ann@b.c", "password": "abcdefg1", "phone": "13800000000", "display_name": "Ann"}
BOB = {"email": "bob@b.c", "password": "1234567?"}


def register(site: Site, **person: str) -> FlaskClient:
    """A browser that is signed in."""
    browser = site.client()
    assert browser.post("/cloudchat/auth/register", json=person).status_code == 201
    sign_in(browser, person["email"], person["password"])
    return browser


def sign_in(browser: FlaskClient, identifier: str, password: str, *, status: int = 200) -> Any:
    answer = browser.post("/cloudchat/auth/login", json={"identifier": identifier, "password": password})
    assert answer.status_code == status
    return answer


def me(browser: FlaskClient) -> Any:
    return browser.get("/cloudchat/auth/me").get_json()


def test_someone_registers_signs_in_and_out(site: Site) -> None:
    browser = register(site, **ANN)
    user = me(browser)["user"]
    assert re.fullmatch("[0-9a-f]{12}", user.pop("uid"))
    assert isinstance(user.pop("id"), int)
    assert user == {"email": "ann@b.c", "phone": "13800000000", "display_name": "Ann", "is_active": True}
    answer = browser.post("/cloudchat/auth/logout")
    assert "cc_auth=;" in answer.headers["Set-Cookie"]
    assert "Max-Age=0" in answer.headers["Set-Cookie"]
    assert me(browser) == {"ok": False, "error": "Unauthorized"}
    cookie = sign_in(browser, "13800000000", ANN["password"]).headers["Set-Cookie"]
    assert all(part in cookie for part in ("cc_auth=", "HttpOnly", "SameSite=Lax", "Max-Age=604800", "Path=/"))
    sign_in(browser, " ANN@b.c ", ANN["password"])
    sign_in(browser, "ann@b.c", "abcdefg2", status=401)


def test_a_cookie_is_worth_nothing_after_signing_out(site: Site) -> None:
    browser = register(site, **ANN)
    kept = browser.get_cookie("cc_auth")
    assert kept is not None
    browser.post("/cloudchat/auth/logout")
    thief = site.client()
    thief.set_cookie("cc_auth", kept.value)
    assert thief.get("/cloudchat/auth/me").status_code == 401


def test_addresses_and_phones_are_taken_once(site: Site) -> None:
    register(site, **ANN)
    for person, error in (
        ({**BOB, "email": "Ann@B.c"}, "Email already registered"),
        ({**BOB, "phone": ANN["phone"]}, "Phone already registered"),
    ):
        answer = site.client().post("/cloudchat/auth/register", json=person)
        assert (answer.status_code, answer.get_json()) == (409, {"ok": False, "error": error})
    register(site, **BOB)
    answers = [
        gevent.spawn(site.client().post, "/cloudchat/auth/register", json={**BOB, "email": "eve@b.c"}) for _ in range(3)
    ]
    assert sorted(task.get(timeout=LIMIT_S).status_code for task in answers) == [201, 409, 409]


def test_one_address_registers_only_so_many(stand: Stand) -> None:
    now = stand.services.clock.monotonic()
    stand.services.clock.monotonic = lambda: now  # type: ignore[method-assign]
    for number in range(11):
        person = {**BOB, "email": f"p{number}@b.c"}
        answer = stand.site.client().post("/cloudchat/auth/register", json=person)
    assert (answer.status_code, answer.get_json()) == (429, {"ok": False, "error": "Too many requests"})


def test_guessing_ends_in_the_same_answer(site: Site) -> None:
    register(site, **ANN)
    guesser = site.client()
    answers = {sign_in(guesser, "ann@b.c", f"guess {number}", status=401).text for number in range(8)}
    assert answers == {'{"error":"Invalid credentials","ok":false}\n'}


def test_two_users_talk_apart(stand: Stand) -> None:
    ann, bob = register(stand.site, **ANN), register(stand.site, **BOB)
    ask(ann, "I am Ann.")
    ask(bob, "I am Bob.")
    ask(ann, "And I?")
    assert told(stand) == [("user", "I am Ann."), ("assistant", "hello"), ("user", "And I?")]
    assert me(ann)["user"]["id"] != me(bob)["user"]["id"]
    ann.post("/cloudchat/auth/logout")
    sign_in(ann, BOB["email"], BOB["password"])
    ask(ann, "Bob, at Ann's.")
    assert told(stand) == [("user", "Bob, at Ann's.")]


def test_the_root_is_spark_mobiles(site: Site) -> None:
    """Where both are served, `/auth` at the root is not cloud-chat's."""
    answer = site.client().post("/auth/register", json=ANN)
    assert "ok" not in answer.get_json()
    assert site.client().get("/auth/me").status_code == 404


class Post:
    """A mail server that takes everything."""

    def __init__(self) -> None:
        self.mails: Queue[str] = Queue()
        self._server = StreamServer(("127.0.0.1", 0), self._serve)
        self._server.start()
        self.port = self._server.server_port

    def link(self, to: str) -> str:
        """The token of the next mail to somebody that has one."""
        while True:
            mail = message_from_string(self.mails.get(timeout=LIMIT_S), policy=policy.default)
            found = re.search(r"https://chat\.example/reset_password\?token=(\S+)", mail.get_content())
            if mail["To"] == to and found:
                return found[1]

    def close(self) -> None:
        self._server.stop()

    def _serve(self, sock: Any, address: Any) -> None:
        stream = sock.makefile("rwb", buffering=0)
        stream.write(b"220 here\r\n")
        while line := stream.readline():
            verb = line[:4].upper()
            if verb == b"DATA":
                stream.write(b"354 go on\r\n")
                mail = []
                while (line := stream.readline()) != b".\r\n":
                    mail.append(line.decode())
                self.mails.put("".join(mail))
            stream.write(b"221 bye\r\n" if verb == b"QUIT" else b"250 fine\r\n")


@pytest.fixture
def post() -> Iterator[Post]:
    post = Post()
    yield post
    post.close()


def test_a_forgotten_password_is_mended_by_mail(site_env: dict[str, str], post: Post) -> None:
    """Once; every session ends, and nobody learns who is registered."""
    mail = {"SMTP_HOST": "127.0.0.1", "SMTP_PORT": str(post.port), "SMTP_TLS": "0", "MAIL_FROM": "chat@b.c"}
    site = Stand({**site_env, **mail, "FRONTEND_BASE_URL": "https://chat.example/"}).site
    browser = register(site, **ANN)
    stranger = site.client()
    same = {
        stranger.post("/cloudchat/auth/password/forgot", json={"identifier": who}).data
        for who in ("nobody@b.c", "13800000000", "", "no address")
    }
    assert same == {b'{"ok":true}\n'}
    token = post.link("ann@b.c")
    reset = {"token": token, "password": "another 1"}
    answer = stranger.post("/cloudchat/auth/password/reset", json=reset)
    assert answer.get_json() == {"ok": True, "revoked_sessions": 1}
    assert me(browser)["ok"] is False
    sign_in(browser, "ann@b.c", ANN["password"], status=401)
    sign_in(browser, "ann@b.c", "another 1")
    again = stranger.post("/cloudchat/auth/password/reset", json=reset)
    assert (again.status_code, again.get_json()["error"]) == (400, "Token invalid or expired")
    site.close()


@pytest.mark.parametrize(("kept", "ended"), [("1", 1), ("0", 0)])
def test_a_page_for_resets_is_tried_without_mail(site_env: dict[str, str], kept: str, ended: int) -> None:
    """Only where it is asked for; sessions outlive a reset only where that is asked for, tokens never."""
    site = Site({**site_env, "DEBUG_RETURN_RESET_TOKEN": "1", "PWRESET_REVOKE_SESSIONS": kept})
    browser, stranger = register(site, **ANN), site.client()
    token = site.services.accounts.login("ann@b.c", ANN["password"]).token
    forgot = stranger.post("/cloudchat/auth/password/forgot", json={"identifier": "ann@b.c"}).get_json()
    assert (forgot["ok"], forgot["debug_ttl"], set(forgot)) == (True, 900, {"ok", "debug_token", "debug_ttl"})
    nobody = stranger.post("/cloudchat/auth/password/forgot", json={"identifier": "nobody@b.c"})
    assert nobody.get_json() == {"ok": True}
    for proxied in ("X-Forwarded-For", "X-Real-IP"):
        far = stranger.post(
            "/cloudchat/auth/password/forgot", json={"identifier": "ann@b.c"}, headers={proxied: "203.0.113.7"}
        )
        assert far.get_json() == {"ok": True}
    reset = {"token": forgot["debug_token"], "password": "another 1"}
    answer = stranger.post("/cloudchat/auth/password/reset", json=reset)
    assert answer.get_json() == {"ok": True, "revoked_sessions": ended}
    assert me(browser)["ok"] is not bool(ended)
    assert site.services.tokens.identify(token) is None
    sign_in(browser, "ann@b.c", "another 1")
    site.close()


def test_a_public_server_tells_no_reset_token(site_env: dict[str, str]) -> None:
    with pytest.raises(ConfigError, match="DEBUG_RETURN_RESET_TOKEN"):
        Site({**site_env, "DEBUG_RETURN_RESET_TOKEN": "1", "HOST": "0.0.0.0", "FLASK_SECRET_KEY": "x" * 32})
