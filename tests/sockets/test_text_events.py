"""Wrong input of every kind on `/text`: a coded error that names the field, and the connection lives."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import socketio
import socketio.exceptions
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sockets.events import CLIENT_EVENTS
from tests.processes import ServerProcess
from tests.viewers import Device

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
NUMBER = st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False)
JSON = st.recursive(
    st.none() | st.booleans() | NUMBER | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=8,
)

GOOD = {"client_id": "c-1", "text": "hi"}


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder: Path = tmp_path_factory.mktemp("server")
    server = ServerProcess(folder / "data", BENCHMARK_MODELS="1").start()
    yield server.address
    server.stop()


@pytest.fixture(scope="module")
def device(address: str) -> Iterator[Device]:
    device = Device(address).connect()
    yield device
    device.leave()


def error_of(answer: dict[str, Any]) -> tuple[str, str | None]:
    assert answer["ok"] is False
    error = answer["error"]
    assert isinstance(error["message"], str)
    assert isinstance(error["retryable"], bool)
    return error["code"], error.get("field")


@pytest.mark.parametrize(
    ("event", "payload", "code", "field"),
    [
        ("turn_start", None, "invalid_request", "client_id"),
        ("turn_start", "text", "invalid_request", "payload"),
        ("turn_start", [1], "invalid_request", "payload"),
        ("turn_start", {"text": "hi"}, "invalid_request", "client_id"),
        ("turn_start", {"client_id": "c"}, "invalid_request", "text"),
        ("turn_start", {**GOOD, "client_id": ""}, "invalid_request", "client_id"),
        ("turn_start", {**GOOD, "client_id": "x" * 65}, "invalid_request", "client_id"),
        ("turn_start", {**GOOD, "client_id": 7}, "invalid_request", "client_id"),
        ("turn_start", {**GOOD, "text": ""}, "invalid_request", "text"),
        ("turn_start", {**GOOD, "text": "x" * 32_001}, "invalid_request", "text"),
        ("turn_start", {**GOOD, "text": ["x"]}, "invalid_request", "text"),
        ("turn_start", {**GOOD, "conversation": 1}, "invalid_request", "conversation"),
        ("turn_start", {**GOOD, "conversation": "c_none"}, "not_found", "conversation"),
        ("turn_start", {**GOOD, "parent": "m_none"}, "invalid_request", "conversation"),
        ("turn_start", {**GOOD, "model": "none"}, "model_unknown", "model"),
        ("turn_start", {**GOOD, "model": "gpt-4o"}, "model_unavailable", "model"),
        ("turn_start", {**GOOD, "model": {}}, "invalid_request", "model"),
        ("turn_start", {**GOOD, "system": 3}, "invalid_request", "system"),
        ("turn_start", {**GOOD, "temperature": 2.1}, "invalid_request", "temperature"),
        ("turn_start", {**GOOD, "temperature": "hot"}, "invalid_request", "temperature"),
        ("turn_start", {**GOOD, "temperature": True}, "invalid_request", "temperature"),
        ("turn_start", {**GOOD, "top_p": -0.1}, "invalid_request", "top_p"),
        ("turn_start", {**GOOD, "max_tokens": 0}, "invalid_request", "max_tokens"),
        ("turn_start", {**GOOD, "max_tokens": -5}, "invalid_request", "max_tokens"),
        ("turn_start", {**GOOD, "max_tokens": 1.5}, "invalid_request", "max_tokens"),
        ("turn_start", {**GOOD, "max_tokens": 10**12}, "invalid_request", "max_tokens"),
        ("turn_start", {**GOOD, "pictures": "p"}, "invalid_request", "pictures"),
        ("turn_start", {**GOOD, "pictures": ["p"] * 9}, "invalid_request", "pictures"),
        ("turn_start", {**GOOD, "pictures": ["p_none"]}, "invalid_request", "pictures"),
        ("turn_start", {**GOOD, "window_ms": 251}, "invalid_request", "window_ms"),
        ("turn_start", {**GOOD, "window_ms": -1}, "invalid_request", "window_ms"),
        ("turn_start", {**GOOD, "window_ms": "0"}, "invalid_request", "window_ms"),
        ("turn_regenerate", {"client_id": "c"}, "invalid_request", "message"),
        ("turn_regenerate", {"client_id": "c", "message": "m_none"}, "not_found", "message"),
        ("turn_attach", {}, "invalid_request", "turn"),
        ("turn_attach", {"turn": "t_none"}, "not_found", "turn"),
        ("turn_attach", {"turn": "t_none", "after": -1}, "invalid_request", "after"),
        ("turn_attach", {"turn": "t_none", "epoch": 0}, "invalid_request", "epoch"),
        ("turn_stop", {}, "invalid_request", "turn"),
        ("turn_stop", {"turn": "t_none"}, "not_found", "turn"),
        ("turn_stop", {"client_id": "none"}, "not_found", "client_id"),
        ("turn_detach", {}, "invalid_request", "turn"),
        ("voice_start", {}, "invalid_request", "event"),
        ("__class__", {}, "invalid_request", "event"),
        ("on_turn_start", {}, "invalid_request", "event"),
    ],
)
def test_wrong_input_is_named(device: Device, event: str, payload: Any, code: str, field: str | None) -> None:
    """The error has its code and its field; `sync` still works afterwards."""
    assert error_of(device.call(event, payload)) == (code, field)
    assert device.call("sync")["ok"]


def test_more_than_one_argument_is_refused(device: Device) -> None:
    """An event takes one object."""
    answer = device._client.call("sync", ({}, {}), namespace="/text", timeout=10)
    assert error_of(answer) == ("invalid_request", "payload")


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(event=st.sampled_from(CLIENT_EVENTS), payload=JSON)
def test_no_shape_breaks_the_connection(device: Device, event: str, payload: Any) -> None:
    """Whatever JSON comes, the answer is one object, never `internal`."""
    answer = device.call(event, payload)
    if not answer["ok"]:
        assert error_of(answer)[0] != "internal"
    assert device.call("sync")["ok"]


@pytest.mark.parametrize(
    ("auth", "code"),
    [({"token": "parley_wrong"}, "unauthenticated"), ({"token": 5}, "invalid_request")],
)
def test_a_refused_connect_carries_a_code(address: str, auth: Any, code: str) -> None:
    """`{code, message}` reaches the client."""
    client = socketio.Client(reconnection=False)
    told: list[Any] = []
    client.on("connect_error", told.append, namespace="/text")
    with pytest.raises(socketio.exceptions.ConnectionError):
        client.connect(address, auth=auth, namespaces=["/text"], transports=["websocket"])
    client.disconnect()
    assert told[0]["code"] == code
    assert told[0]["message"]


def test_another_users_turn_and_conversation_look_absent(address: str, device: Device) -> None:
    """Ids of others give what unknown ids give."""
    mine = device.ask("theirs", "hi")
    device.seen(mine["turn"]).whole()
    stranger = Device(address).connect()
    for event, payload in [
        ("turn_attach", {"turn": mine["turn"]}),
        ("turn_stop", {"turn": mine["turn"]}),
        ("turn_stop", {"client_id": "theirs"}),
        ("turn_regenerate", {"client_id": "x", "message": mine["message"]}),
        ("turn_start", {**GOOD, "conversation": mine["conversation"]}),
        ("turn_start", {**GOOD, "conversation": mine["conversation"], "parent": mine["message"]}),
    ]:
        assert error_of(stranger.call(event, payload))[0] == "not_found"
    stranger.leave()


def test_text_is_kept_as_it_came_but_for_what_cannot_be_kept(device: Device) -> None:
    """Emoji, right-to-left marks and combining letters survive; a NUL is dropped."""
    text = "回声 echo: 👩‍👩‍👧 é \u202eabc\u0000 ð’«"
    started = device.ask("kept", f"pieces=1 {text}", model="benchmark")
    assert device.seen(started["turn"]).whole()["status"] == "done"
