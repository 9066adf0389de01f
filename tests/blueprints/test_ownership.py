"""Two users and every address with an id: what is another's looks absent, to reading and to writing."""

from __future__ import annotations

from typing import Any

import pytest

from services.relay.log import Position
from services.turns.request import TextRequest
from tests.servers import Stand


@pytest.fixture
def things(stand: Stand) -> dict[str, Any]:
    """What Ann has, and what Bob brings to get at it."""
    ann, bob = stand.site.register("ann"), stand.site.register("bob")
    identity = stand.services.doorkeeper.by_token(ann["Authorization"].removeprefix("Bearer "))
    following = stand.services.text_turns.start(identity, TextRequest("c-1", "Ann's secret question"))
    for running in stand.services.turns.running_here(identity):
        assert running.runner.wait(10)
    token = stand.site.client().post("/v1/tokens", json={"name": "phone"}, headers=ann).get_json()
    spark_key = stand.site.client().post("/v1/spark/keys", json={"name": "desk"}, headers=ann).get_json()
    return {
        "ann": ann,
        "bob": bob,
        "identity": identity,
        "conversation": following.conversation,
        "turn": following.log.turn_id,
        "token": token["id"],
        "spark_key": spark_key["api_key"],
    }


ADDRESSES = [
    ("GET", "/v1/conversations/{conversation}", None),
    ("PATCH", "/v1/conversations/{conversation}", {"title": "Bob's now"}),
    ("DELETE", "/v1/conversations/{conversation}", None),
    ("GET", "/v1/conversations/{conversation}/messages", None),
    ("GET", "/v1/conversations/{conversation}/export?format=markdown", None),
    ("GET", "/v1/conversations/{conversation}/export?format=json", None),
    ("GET", "/v1/turns/{turn}", None),
    ("POST", "/v1/turns/{turn}/stop", None),
    ("DELETE", "/v1/tokens/{token}", None),
    ("DELETE", "/v1/spark/keys/{spark_key}", None),
]


@pytest.mark.parametrize(("method", "address", "body"), ADDRESSES)
def test_anothers_thing_looks_absent(
    stand: Stand, things: dict[str, Any], method: str, address: str, body: object
) -> None:
    """The same answer, to the letter, as for an id that never was; and the owner loses nothing."""
    client = stand.site.client()
    for accept in ("application/json", "text/event-stream"):
        headers = {**things["bob"], "Accept": accept}
        anothers = client.open(address.format(**things), method=method, json=body, headers=headers)
        absent = {name: f"{value[:-1]}0" for name, value in things.items() if isinstance(value, str)}
        nobodys = client.open(address.format(**absent), method=method, json=body, headers=headers)
        assert anothers.status_code == nobodys.status_code == 404
        assert anothers.get_json() == nobodys.get_json()
        assert "secret" not in anothers.text

    ann = things["ann"]
    assert client.get(f"/v1/conversations/{things['conversation']}", headers=ann).get_json()["title"] != "Bob's now"
    assert client.get(f"/v1/turns/{things['turn']}", headers=ann).status_code == 200
    assert things["token"] in client.get("/v1/tokens", headers=ann).text
    assert things["spark_key"] in client.get("/v1/spark/keys", headers=ann).text


@pytest.mark.parametrize(("method", "address", "body"), [*ADDRESSES, ("GET", "/v1/conversations", None)])
def test_nobody_gets_nothing(stand: Stand, things: dict[str, Any], method: str, address: str, body: object) -> None:
    """No credential, a made-up one, a kind we do not know: 401, and never a new guest."""
    client, page = stand.site.client(), {"Origin": stand.site.origin}
    for headers in (
        {},
        {"Authorization": "Bearer made-up"},
        {"Authorization": "Basic YW5uOng="},
        {"Cookie": "parley_session=made-up", **page},
    ):
        answer = client.open(address.format(**things), method=method, json=body, headers=headers)
        assert (answer.status_code, answer.get_json()["error"]["code"]) == (401, "unauthenticated")
        assert "Set-Cookie" not in answer.headers


def test_identity_comes_from_the_credential_only(stand: Stand, things: dict[str, Any]) -> None:
    """A name in a header, the query or the body makes nobody somebody else."""
    client, identity = stand.site.client(), things["identity"]
    headers = {**things["bob"], "uuid": identity.user_id, "username": "ann", "X-User": identity.user_id}
    query = {"user": identity.user_id, "user_id": identity.user_id, "uuid": identity.user_id}
    assert client.get("/v1/auth/me", headers=headers, query_string=query).get_json()["user"]["name"] == "bob"
    assert client.get("/v1/conversations", headers=headers, query_string=query).get_json()["conversations"] == []
    client.post("/v1/conversations", json={"title": "x", "user_id": identity.user_id}, headers=headers)
    mine = client.get("/v1/conversations", headers=things["ann"]).get_json()["conversations"]
    assert [one["id"] for one in mine] == [things["conversation"]]


def test_search_finds_only_ones_own(stand: Stand, things: dict[str, Any]) -> None:
    client = stand.site.client()
    found = client.get("/v1/conversations?q=secret", headers=things["ann"]).get_json()["conversations"]
    assert [one["id"] for one in found] == [things["conversation"]]
    assert client.get("/v1/conversations?q=secret", headers=things["bob"]).get_json()["conversations"] == []


def test_a_client_id_of_anothers_means_a_turn_of_ones_own(stand: Stand, things: dict[str, Any]) -> None:
    bob = stand.services.doorkeeper.by_token(things["bob"]["Authorization"].removeprefix("Bearer "))
    following = stand.services.text_turns.start(bob, TextRequest("c-1", "Bob's question"))
    assert following.log.turn_id != things["turn"]
    stand.services.turns.stop(bob, client_id="c-1")
    assert stand.services.turns.attach(bob, following.log.turn_id, Position(1, 0)).log.ended is not None
