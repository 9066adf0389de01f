"""Other sites' pages: what they make a visitor's browser send changes nothing."""

from __future__ import annotations

import pytest
from flask.testing import FlaskClient

from tests.servers import PASSWORD, Site

CHANGES = [
    ("POST", "/v1/conversations", {"title": "forged"}),
    ("PATCH", "/v1/conversations/c_1", {"title": "forged"}),
    ("DELETE", "/v1/conversations/c_1", None),
    ("POST", "/v1/tokens", {"name": "forged"}),
    ("DELETE", "/v1/tokens/k_1", None),
    ("POST", "/v1/spark/keys", {"name": "forged"}),
    ("DELETE", "/v1/spark/keys/k_1", None),
    ("POST", "/v1/auth/password", {"old": PASSWORD, "new": "forged password"}),
    ("POST", "/v1/auth/logout", None),
    ("POST", "/v1/turns/t_1/stop", None),
    ("POST", "/v1/chat/completions", {"messages": [{"role": "user", "content": "forged"}]}),
]
FOREIGN = [
    {"Origin": "https://evil.example"},
    {"Origin": "null"},
    {"Origin": "http://127.0.0.1:5001"},
    {"Origin": "http://127.0.0.1.evil.example:5000"},
    {"Origin": "http://evil.example:5000", "Host": "evil.example:5000", "X-Forwarded-Host": "evil.example:5000"},
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
    {"Origin": "https://evil.example", "Sec-Fetch-Site": "same-origin"},
]


@pytest.fixture
def browser(site: Site) -> FlaskClient:
    browser = site.client()
    browser.post("/v1/auth/register", json={"username": "ann", "password": PASSWORD}, headers={"Origin": site.origin})
    return browser


@pytest.mark.parametrize(("method", "path", "body"), CHANGES)
def test_a_foreign_page_can_change_nothing(browser: FlaskClient, method: str, path: str, body: object) -> None:
    """Refused before anything is looked up, whatever the foreign page calls itself."""
    for headers in FOREIGN:
        answer = browser.open(path, method=method, json=body, headers=headers)
        assert (answer.status_code, answer.get_json()["error"]["code"]) == (403, "forbidden"), headers
    assert browser.get("/v1/conversations").get_json()["conversations"] == []


def test_the_cookie_alone_changes_nothing(browser: FlaskClient) -> None:
    """Without a word of which page sent it, the cookie is no credential for a change; for reading it is."""
    for method, path, body in CHANGES[:-1]:
        answer = browser.open(path, method=method, json=body)
        assert answer.status_code == 403, path
    assert browser.get("/v1/auth/me").status_code == 200


@pytest.mark.parametrize("headers", [{"Origin": "http://127.0.0.1:5000"}, {"Sec-Fetch-Site": "same-origin"}])
def test_our_own_page_changes_what_it_likes(browser: FlaskClient, headers: dict[str, str]) -> None:
    assert browser.post("/v1/conversations", json={"title": "mine"}, headers=headers).status_code == 201


def test_a_foreign_page_cannot_sign_a_visitor_in(site: Site) -> None:
    """Signing in somebody as the attacker's account is a forgery, too."""
    site.register("mallory")
    for path, body in (
        ("/v1/auth/login", {"username": "mallory", "password": PASSWORD}),
        ("/v1/auth/register", {"username": "mallory2", "password": PASSWORD}),
        ("/v1/auth/guest", None),
    ):
        answer = site.client().post(path, json=body, headers={"Origin": "https://evil.example"})
        assert answer.status_code == 403
        assert "Set-Cookie" not in answer.headers


def test_a_token_needs_no_origin(site: Site) -> None:
    """Nobody's browser sends a token unasked: apps may come from anywhere."""
    user = site.register("ann")
    answer = site.client().post("/v1/conversations", json={}, headers={**user, "Origin": "app://phone"})
    assert answer.status_code == 201
