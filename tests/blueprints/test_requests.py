"""Wrong input of every kind: one coded refusal that names the part at fault, in the reader's language."""

from __future__ import annotations

from typing import Any

import pytest

from db.errors import DatabaseBusy
from services.errors import BY_CODE
from tests.servers import PASSWORD, Site, Stand

HOSTILE = [
    "' OR '1'='1",
    '"; DROP TABLE user; --',
    "1); DELETE FROM conversation WHERE (1=1",
    "%' UNION SELECT password_hash FROM user --",
    "\\'; SELECT 1; #",
    "${jndi:ldap://x}",
    "{{7*7}}",
    "../../etc/passwd",
    "\u202e\u0000\ufffe\U0001f600",
    '+(a) -b ~c *d "e',
]


@pytest.mark.parametrize(
    ("body", "kind", "status", "code"),
    [
        (b'{"title": NaN}', "application/json", 400, "invalid_request"),
        (b'{"title": 1e999}', "application/json", 400, "invalid_request"),
        (b'{"title": "\\ud800"}', "application/json", 400, "invalid_request"),
        (b'{"title": "\xff"}', "application/json", 400, "invalid_request"),
        (b"[" * 5_000, "application/json", 400, "invalid_request"),
        (b'["title"]', "application/json", 400, "invalid_request"),
        (b"null", "application/json", 400, "invalid_request"),
        (b'{"title": 5}', "application/json", 400, "invalid_request"),
        (b'{"title": {"$gt": ""}}', "application/json", 400, "invalid_request"),
        (b'{"title": "x"', "application/json", 400, "invalid_request"),
        (b'{"title": "x"}', "text/plain", 415, "unsupported_media"),
        (b'{"title": "x"}', "application/x-www-form-urlencoded", 415, "unsupported_media"),
        (b'{"title": "x"}', "multipart/form-data; boundary=x", 415, "unsupported_media"),
        (b'{"title": "' + b"x" * 300_000 + b'"}', "application/json", 413, "too_large"),
    ],
)
def test_a_body_that_is_no_json_object_is_refused(site: Site, body: bytes, kind: str, status: int, code: str) -> None:
    user = site.register("ann")
    answer = site.client().post("/v1/conversations", data=body, headers={**user, "Content-Type": kind})
    error = answer.get_json()["error"]
    assert (answer.status_code, error["code"], error["retryable"]) == (status, code, False)


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("/v1/conversations?limit=0", "limit"),
        ("/v1/conversations?limit=-1", "limit"),
        ("/v1/conversations?limit=1.5", "limit"),
        ("/v1/conversations?limit=99999999999999999999", "limit"),
        ("/v1/conversations?limit=%D9%A3", "limit"),
        ("/v1/conversations?before=c_1", "before"),
        ("/v1/conversations?before=" + "1" * 999, "before"),
        ("/v1/conversations?q=" + "x" * 999, "q"),
        ("/v1/turns/t_1?after=-1", "after"),
        ("/v1/turns/t_1?after=9999999999999999", "after"),
        ("/v1/turns/t_1?epoch=0", "epoch"),
    ],
)
def test_a_wrong_word_in_the_query_is_named(site: Site, path: str, field: str) -> None:
    answer = site.client().get(path, headers=site.register("ann"))
    error = answer.get_json()["error"]
    assert (answer.status_code, error["code"], error["field"]) == (400, "invalid_request", field)


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_is_data_everywhere(either_stand: Stand, text: str) -> None:
    """In fields, ids, queries, cursors and headers: kept as text or refused, never run, never an error of ours."""
    user, client = either_stand.site.register("ann"), either_stand.site.client()
    kept = client.post("/v1/conversations", json={"title": f"x{text}"}, headers=user)
    assert kept.status_code == 201
    others = [
        client.get("/v1/conversations", query_string={"q": text}, headers=user),
        client.get("/v1/conversations", query_string={"before": text}, headers=user),
        client.get("/v1/conversations", query_string={"limit": text}, headers=user),
        client.get(f"/v1/conversations/{text.replace('/', '')}", headers=user),
        client.get(f"/v1/turns/{text.replace('/', '')}", headers=user),
        client.delete(f"/v1/tokens/{text.replace('/', '')}", headers=user),
        client.post("/v1/tokens", json={"name": f"x{text}"}, headers=user),
        client.delete(f"/v1/spark/keys/{text.replace('/', '')}", headers=user),
        client.post("/v1/spark/keys", json={"name": f"x{text}"}, headers=user),
        client.post("/v1/auth/login", json={"username": text, "password": PASSWORD}),
        client.post("/v1/auth/password/reset", json={"ticket": text, "password": PASSWORD}),
        client.get(
            "/v1/auth/me",
            headers={"Authorization": f"Bearer {text.encode('ascii', 'replace').decode()}".replace("\0", "")},
        ),
    ]
    for answer in others:
        assert answer.status_code < 500, answer.text
        assert not any(word in answer.text.lower() for word in ("sqlite", "mysql", "maria"))
    assert [one["title"] for one in client.get("/v1/conversations", headers=user).get_json()["conversations"]] == [
        kept.get_json()["title"]
    ]


def test_unknown_addresses_and_methods_get_our_codes(site: Site) -> None:
    client = site.client()
    absent = client.get("/v1/nothing")
    assert (absent.status_code, absent.get_json()["error"]["code"]) == (404, "not_found")
    wrong = client.put("/v1/auth/login")
    assert (wrong.status_code, wrong.get_json()["error"]["code"]) == (405, "invalid_request")
    assert "POST" in wrong.headers["Allow"]


def test_a_busy_database_asks_for_patience(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    user = site.register("ann")

    def busy(*_: Any, **__: Any) -> None:
        raise DatabaseBusy("Every connection to the database is in use.")

    monkeypatch.setattr(site.services.conversations, "list", busy)
    answer = site.client().get("/v1/conversations", headers=user)
    assert (answer.status_code, answer.get_json()["error"]["code"]) == (503, "server_busy")
    assert int(answer.headers["Retry-After"]) == answer.get_json()["error"]["retry_after_s"]


def test_a_bug_is_logged_once_and_told_to_nobody(
    site: Site, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    user = site.register("ann")

    def broken(*_: Any, **__: Any) -> None:
        raise RuntimeError("the cook's private diary")

    monkeypatch.setattr(site.services.conversations, "list", broken)
    answer = site.client().get("/v1/conversations", headers=user)
    assert (answer.status_code, answer.get_json()["error"]["code"]) == (500, "internal")
    assert "diary" not in answer.text
    assert len([record for record in caplog.records if record.exc_info]) == 1
    assert 'parley_errors_total{code="internal"} 1.0' in site.client().get("/metrics").text


@pytest.mark.parametrize(
    ("languages", "chinese"),
    [("zh-CN,zh;q=0.9,en;q=0.8", True), ("en-GB,zh;q=0.5", False), ("fr", False), ("", False), ("zh-Hant", True)],
)
def test_a_refusal_speaks_the_readers_language(site: Site, languages: str, chinese: bool) -> None:
    """Only the sentence changes; code and field are the protocol's."""
    answer = site.client().post(
        "/v1/auth/register", json={"username": "ann", "password": 5}, headers={"Accept-Language": languages}
    )
    error = answer.get_json()["error"]
    assert (error["code"], error["field"]) == ("invalid_request", "password")
    assert ("密码" in error["message"]) is chinese


def test_every_code_has_its_page_entry() -> None:
    """`docs/errors.md` tells of every code a client can meet, and of no other."""
    from tests.processes import ROOT

    lines = (ROOT / "docs" / "errors.md").read_text("utf-8").splitlines()
    described = [line.removeprefix("## `").removesuffix("`") for line in lines if line.startswith("## `")]
    assert sorted(described) == sorted(BY_CODE)
