"""`/v1/auth` and `/v1/tokens`: people come in, go out, and keep what is theirs."""

from __future__ import annotations

import pytest

from tests.servers import PASSWORD, Site


def sign_up(site: Site, name: str = "Ann"):
    """A browser that has just registered, as its page would send it."""
    browser = site.client()
    answer = browser.post(
        "/v1/auth/register",
        json={"username": name, "password": PASSWORD, "email": "ann@example.org"},
        headers={"Origin": site.origin},
    )
    assert answer.status_code == 201, answer.text
    return browser, answer


def test_registering_signs_in_by_cookie_and_by_token(site: Site) -> None:
    """Both credentials of the answer are the new user's, who has the initial quota."""
    browser, answer = sign_up(site)
    user = answer.get_json()["user"]
    assert user == {"id": user["id"], "name": "Ann", "guest": False}

    by_cookie = browser.get("/v1/auth/me").get_json()
    token = answer.get_json()["token"]
    by_token = site.client().get("/v1/auth/me", headers={"Authorization": f"Bearer {token}"}).get_json()

    assert by_cookie == by_token == {"user": user, "quota": {"tokens": 1_000_000, "pictures": 100}}


@pytest.mark.parametrize(("base", "secure"), [("http://127.0.0.1:5000", False), ("https://chat.example.org", True)])
def test_the_cookie_is_out_of_reach_of_scripts_and_other_sites(site: Site, base: str, secure: bool) -> None:
    """HttpOnly, SameSite, whole site, and Secure wherever TLS was used."""
    answer = site.client().post("/v1/auth/guest", base_url=base)
    cookie = answer.headers["Set-Cookie"]
    parts = {part.strip() for part in cookie.split(";")}
    assert cookie.startswith("parley_session=")
    assert {"HttpOnly", "SameSite=Lax", "Path=/"} <= parts
    assert ("Secure" in parts) is secure
    assert not any(part.startswith("Domain") for part in parts)


def test_every_sign_in_gives_a_new_session_and_ends_the_one_before(site: Site) -> None:
    """A session planted in a browser before its owner signs in opens nothing afterwards."""
    browser, _ = sign_up(site)
    planted = browser.get_cookie("parley_session").value
    browser.post("/v1/auth/login", json={"username": "ann", "password": PASSWORD}, headers={"Origin": site.origin})

    assert browser.get_cookie("parley_session").value != planted
    stranger = site.client()
    stranger.set_cookie("parley_session", planted)
    assert stranger.get("/v1/auth/me").status_code == 401


def test_a_guest_becomes_a_user_and_keeps_its_conversations(site: Site) -> None:
    browser = site.client()
    guest = browser.post("/v1/auth/guest", headers={"Origin": site.origin}).get_json()["user"]
    kept = browser.post("/v1/conversations", json={"title": "mine"}, headers={"Origin": site.origin}).get_json()

    user = browser.post(
        "/v1/auth/register", json={"username": "Bo", "password": PASSWORD}, headers={"Origin": site.origin}
    ).get_json()["user"]

    assert (guest["guest"], user["guest"], user["id"]) == (True, False, guest["id"])
    assert browser.get(f"/v1/conversations/{kept['id']}").get_json()["title"] == "mine"


def test_logging_out_ends_the_credential_it_came_with(site: Site) -> None:
    """The browser's session ends, the app's token lives on; then the token ends too."""
    browser, answer = sign_up(site)
    app = {"Authorization": f"Bearer {answer.get_json()['token']}"}
    session = browser.get_cookie("parley_session").value

    assert browser.post("/v1/auth/logout", headers={"Origin": site.origin}).get_json() == {}
    assert browser.get_cookie("parley_session") is None
    browser.set_cookie("parley_session", session)
    assert browser.get("/v1/auth/me").status_code == 401
    assert site.client().get("/v1/auth/me", headers=app).status_code == 200

    site.client().post("/v1/auth/logout", headers=app)
    assert site.client().get("/v1/auth/me", headers=app).status_code == 401


def test_a_new_password_ends_every_other_credential(site: Site) -> None:
    browser, answer = sign_up(site)
    app = {"Authorization": f"Bearer {answer.get_json()['token']}"}
    page = {"Origin": site.origin}
    wrong = browser.post("/v1/auth/password", json={"old": "not the password", "new": "another one 1"}, headers=page)
    assert (wrong.status_code, wrong.get_json()["error"]["field"]) == (403, "old")

    done = browser.post("/v1/auth/password", json={"old": PASSWORD, "new": "another one 1"}, headers=page)

    assert done.get_json() == {}
    assert browser.get("/v1/auth/me").status_code == 200
    assert site.client().get("/v1/auth/me", headers=app).status_code == 401
    login = {"username": "ann", "password": "another one 1"}
    assert site.client().post("/v1/auth/login", json=login).status_code == 200


def test_a_reset_ticket_works_once(site: Site) -> None:
    browser, _ = sign_up(site)
    ticket = site.services.accounts.issue_reset("ann")
    request = {"ticket": ticket, "password": "after the reset"}
    assert site.client().post("/v1/auth/password/reset", json=request).get_json() == {}
    again = site.client().post("/v1/auth/password/reset", json=request)
    assert (again.status_code, again.get_json()["error"]["field"]) == (400, "ticket")
    assert browser.get("/v1/auth/me").status_code == 401
    login = {"username": "Ann", "password": "after the reset"}
    assert site.client().post("/v1/auth/login", json=login).status_code == 200


def test_tokens_are_named_shown_once_and_revocable(site: Site) -> None:
    user = site.register("ann")
    client = site.client()
    made = client.post("/v1/tokens", json={"name": "phone", "expires_in_s": 3600}, headers=user)
    assert made.status_code == 201
    token = made.get_json()
    assert set(token) == {"id", "name", "created_ms", "expires_ms", "token"}
    assert token["expires_ms"] == token["created_ms"] + 3_600_000

    listed = client.get("/v1/tokens", headers=user)
    assert token["token"] not in listed.text
    assert token["id"] in {entry["id"] for entry in listed.get_json()["tokens"]}

    phone = {"Authorization": f"Bearer {token['token']}"}
    assert client.get("/v1/auth/me", headers=phone).status_code == 200
    assert client.delete(f"/v1/tokens/{token['id']}", headers=user).get_json() == {}
    assert client.get("/v1/auth/me", headers=phone).status_code == 401
    assert client.delete(f"/v1/tokens/{token['id']}", headers=user).status_code == 404


def test_an_unknown_name_and_a_wrong_password_read_the_same(site: Site) -> None:
    site.register("ann")
    client = site.client()
    unknown = client.post("/v1/auth/login", json={"username": "nobody", "password": PASSWORD})
    wrong = client.post("/v1/auth/login", json={"username": "ann", "password": "not this one"})
    assert unknown.status_code == wrong.status_code == 401
    assert unknown.get_json() == wrong.get_json()


def test_fields_nobody_asked_for_change_nothing(site: Site) -> None:
    """Mass assignment: neither rights nor quota nor ids come from a body."""
    greedy = {
        "id": "u_1",
        "guest": True,
        "is_admin": True,
        "quota": {"tokens": 10**12},
        "tokens": 10**12,
        "user": "u_1",
    }
    answer = site.client().post("/v1/auth/register", json={"username": "ann", "password": PASSWORD, **greedy})
    token = answer.get_json()["token"]
    me = site.client().get("/v1/auth/me", headers={"Authorization": f"Bearer {token}"}).get_json()
    assert me["user"]["id"] != "u_1"
    assert me["user"]["guest"] is False
    assert me["quota"] == {"tokens": 1_000_000, "pictures": 100}


@pytest.mark.parametrize("password", ["", "short", "x" * 1_000, "null\0byte in it", "tab\tin the middle"])
def test_a_password_nobody_can_type_is_refused_by_name(site: Site, password: str) -> None:
    answer = site.client().post("/v1/auth/register", json={"username": "ann", "password": password})
    assert answer.status_code == 400
    assert answer.get_json()["error"]["field"] == "password"
