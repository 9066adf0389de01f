"""`/openapi.json` and `/asyncapi.json` say what the server does: every route, every event, every field."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from io import BytesIO
from typing import Any

import pytest
import socketio
from gevent.event import Event
from PIL import Image

from services.errors import InvalidRequest, UnsupportedMedia
from services.events import ReasoningDelta, Restarted, Stop, TextDelta
from services.fields import Fields
from services.identity import Identity
from services.providers.base import ChatRequest
from services.turns.request import TextRequest
from sockets import events, picture_events
from tests.blueprints.json_schema import faults
from tests.servers import PASSWORD, Stand
from tests.services.pictures.samples import saved

LIMIT_S = 20


def thoughtful(request: ChatRequest) -> Iterator[Any]:
    """Every kind of entry a log can have."""
    yield ReasoningDelta("hm")
    yield Restarted()
    yield ReasoningDelta("so")
    yield TextDelta("answer")
    yield Stop("stop")


class Api:
    """The contract and a user who tries it."""

    def __init__(self, stand: Stand) -> None:
        self.stand = stand
        stand.provider.script = thoughtful
        self.document: dict[str, Any] = stand.site.client().get("/openapi.json").get_json()
        self.headers = stand.site.register("ann")
        token = self.headers["Authorization"].removeprefix("Bearer ")
        self.identity: Identity = stand.services.doorkeeper.by_token(token)
        self.tried: set[tuple[str, str]] = set()

    def call(self, method: str, path: str, body: Any = None, *, to: str = "", accept: str = "application/json") -> Any:
        """Ask as the contract says, and hold the answer against it."""
        operation = self.document["paths"][path][method.lower()]
        self.tried.add((method, path))
        kinds = operation.get("requestBody", {}).get("content", {})
        if "application/json" in kinds:
            takes = operation["requestBody"]["content"]["application/json"]["schema"]
            assert faults(body, takes, self.document) == []
        address = re.sub(r"{\w+}", to, path)
        headers = {**self.headers, "Accept": accept}
        if kinds and "application/json" not in kinds:
            sent: dict[str, Any] = {"data": body, "content_type": next(iter(kinds))}
        else:
            sent = {"json": body}
        answer = self.stand.site.client().open(address, method=method, headers=headers, **sent)
        good = operation["responses"][str(answer.status_code)]
        media = good["content"][accept]
        assert answer.mimetype == accept
        if accept == "application/json":
            assert faults(answer.get_json(), media["schema"], self.document) == []
            return answer.get_json()
        return answer.get_data().decode(errors="replace")


@pytest.fixture
def api(either_stand: Stand) -> Api:
    return Api(either_stand)


def test_the_routes_are_the_contracts(api: Api) -> None:
    """None is missing, none is made up."""
    described = {(method.upper(), path) for path, methods in api.document["paths"].items() for method in methods}
    served = {
        (method, re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule))
        for rule in api.stand.site.app.url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
        if not rule.endpoint.startswith(("pages.", "contracts.")) and " at " not in rule.endpoint  # an older backend's
    }
    assert described == served


def test_every_answer_is_what_the_contract_says(api: Api) -> None:
    """Each operation once, with what it takes and what it gives."""
    signed_in = api.call("POST", "/v1/auth/login", {"username": "ann", "password": PASSWORD})
    api.call("POST", "/v1/auth/register", {"username": "bob", "password": PASSWORD, "email": "bob@example.org"})
    api.call("POST", "/v1/auth/guest")
    assert api.call("GET", "/v1/auth/me")["user"] == signed_in["user"]
    token = api.call("POST", "/v1/tokens", {"name": "phone", "expires_in_s": 3600})
    api.call("GET", "/v1/tokens")
    api.call("DELETE", "/v1/tokens/{token_id}", to=token["id"])
    key = api.call("POST", "/v1/spark/keys", {"name": "desk"})
    api.call("GET", "/v1/spark/keys")
    api.call("DELETE", "/v1/spark/keys/{api_key}", to=key["api_key"])

    following = api.stand.services.text_turns.start(api.identity, TextRequest("c-1", "a question to find"))
    turn, conversation = following.log.turn_id, following.conversation
    for running in api.stand.services.turns.running_here(api.identity):
        assert running.runner.wait(LIMIT_S)
    log = api.call("GET", "/v1/turns/{turn_id}", to=turn)
    assert {entry["event"] for entry in log["entries"]} == {"turn_state", "turn_delta", "turn_rewind", "turn_end"}
    back = api.stand.site.client().get(f"/v1/turns/{turn}?epoch=1&after=2", headers=api.headers).get_json()
    assert faults(back, {"$ref": "#/components/schemas/Turn"}, api.document) == []
    assert back["entries"][0]["event"] == "turn_rewind"
    streamed = api.call("GET", "/v1/turns/{turn_id}", to=turn, accept="text/event-stream")
    for name, data in re.findall(r"event: (\w+)\ndata: (.*)\n", streamed):
        assert faults(json.loads(data), {"$ref": f"#/components/schemas/{name}"}, api.document) == []
    api.call("POST", "/v1/turns/{turn_id}/stop", to=turn)

    api.call("POST", "/v1/conversations", {"title": "empty"})
    api.call("GET", "/v1/conversations")
    found = api.stand.site.client().get("/v1/conversations?q=question", headers=api.headers).get_json()
    assert faults(found["conversations"][0], {"$ref": "#/components/schemas/Conversation"}, api.document) == []
    api.call("GET", "/v1/conversations/{conversation_id}", to=conversation)
    api.call("PATCH", "/v1/conversations/{conversation_id}", {"title": "new"}, to=conversation)
    api.call("GET", "/v1/conversations/{conversation_id}/messages", to=conversation)
    api.call("GET", "/v1/conversations/{conversation_id}/export", to=conversation, accept="text/markdown")
    api.call("DELETE", "/v1/conversations/{conversation_id}", to=conversation)

    api.call("GET", "/v1/models")
    api.call("GET", "/v1/models/{model_id}", to="scripted")
    asked = {"messages": [{"role": "user", "content": "hello"}]}
    api.call("POST", "/v1/chat/completions", asked)
    chunks = api.call(
        "POST", "/v1/chat/completions", {**asked, "stream": True, "stream_options": {"include_usage": True}},
        accept="text/event-stream",
    ).split("\n\n")  # fmt: skip
    for chunk in chunks[:-2]:
        told = json.loads(chunk.removeprefix("data: "))
        assert faults(told, {"$ref": "#/components/schemas/ChatChunk"}, api.document) == []

    picture = api.call("POST", "/v1/pictures", saved(Image.new("L", (8, 8)), "PNG"))
    api.call("GET", "/v1/pictures")
    api.call("GET", "/v1/pictures/{picture_id}", to=picture["id"], accept="image/png")
    api.call("DELETE", "/v1/pictures/{picture_id}", to=picture["id"])
    api.call("POST", "/v1/images/generations", {"prompt": "a boat", "size": "64x64", "response_format": "b64_json"})

    for form in ("json", "verbose_json"):
        sound = (BytesIO(bytes(32_000)), "sound.pcm")
        api.call("POST", "/v1/audio/transcriptions", {"file": sound, "response_format": form})

    for path in ("/healthz", "/readyz"):
        api.call("GET", path)
    api.call("GET", "/metrics", accept="text/plain")
    api.call("POST", "/v1/auth/password", {"old": PASSWORD, "new": "another password"})
    ticket = api.stand.services.accounts.issue_reset("ann")
    api.call("POST", "/v1/auth/password/reset", {"ticket": ticket, "password": PASSWORD})
    api.headers = api.stand.site.register("carol")
    api.call("POST", "/v1/auth/logout")

    assert api.tried == {(m.upper(), path) for path, methods in api.document["paths"].items() for m in methods}


def test_every_refusal_is_what_the_contract_says(api: Api) -> None:
    client = api.stand.site.client()
    for method, path, kind in (
        ("GET", "/v1/auth/me", "Refusal"),
        ("POST", "/v1/auth/login", "Refusal"),
        ("GET", "/nothing", "Refusal"),
        ("POST", "/v1/chat/completions", "ChatRefusal"),
        ("GET", "/v1/models/nothing", "ChatRefusal"),
    ):
        told = client.open(path, method=method).get_json()
        assert faults(told, {"$ref": f"#/components/schemas/{kind}"}, api.document) == [], path


NAMES = {
    "text": (events.CLIENT_EVENTS, events.SERVER_EVENTS),
    "voice": (events.VOICE_CLIENT_EVENTS, events.VOICE_SERVER_EVENTS),
    "picture": (picture_events.PICTURE_CLIENT_EVENTS, picture_events.PICTURE_SERVER_EVENTS),
}
SHAPES: dict[str, Any] = {
    "voice_start": events.StartVoice,
    "voice_end": events.EndVoice,
    "voice_cancel": events.CancelVoice,
    "voice_hush": events.HushVoice,
    "turn_start": events.StartTurn,
    "turn_regenerate": events.RegenerateTurn,
    "turn_attach": events.AttachTurn,
    "turn_stop": events.StopTurn,
    "turn_detach": events.DetachTurn,
    "sync": events.Sync,
    "picture_upload": picture_events.UploadPicture,
    "picture_draw": picture_events.DrawPicture,
}


class Noting(dict[str, Any]):
    """A payload that remembers which of its fields were looked at."""

    def __init__(self, fields: dict[str, Any]) -> None:
        super().__init__(fields)
        self.read: set[str] = set()

    def get(self, name: str, default: Any = None) -> Any:
        self.read.add(name)
        return super().get(name, default)


@pytest.fixture
def asyncapi(stand: Stand) -> dict[str, Any]:
    document: dict[str, Any] = stand.site.client().get("/asyncapi.json").get_json()
    return document


def test_the_events_are_the_contracts(asyncapi: dict[str, Any]) -> None:
    """The names of both directions; each event of a client has an acknowledgement."""
    operations = asyncapi["operations"]
    by_action = {
        action: {name for name, operation in operations.items() if operation["action"] == action}
        for action in ("receive", "send")
    }
    assert by_action == {
        "receive": {f"{channel}_{name}" for channel, (sent, _) in NAMES.items() for name in sent},
        "send": {f"{channel}_{name}" for channel, (_, told) in NAMES.items() for name in told},
    }
    silent = {name for name in by_action["receive"] if "reply" not in operations[name]}
    assert silent == {"voice_voice_frame"}
    for reference in re.findall(r'"\$ref": "#/([^"]+)"', json.dumps(asyncapi)):
        found: Any = asyncapi
        for part in reference.split("/"):
            found = found[part]


@pytest.mark.parametrize("name", SHAPES)
def test_the_fields_of_an_event_are_the_ones_that_are_read(asyncapi: dict[str, Any], name: str) -> None:
    """Nothing is declared that is not looked at, nothing looked at that is not declared; the bounds are the same."""
    channel = next(channel for channel, (sent, _) in NAMES.items() if name in sent)
    schema = asyncapi["channels"][channel]["messages"][name]["payload"]
    whole = {field: _example(shape) for field, shape in schema["properties"].items()}
    assert faults(whole, schema, asyncapi) == []
    read: set[str] = set()
    for payload in (whole, *({field: value} for field, value in whole.items())):
        noting = Noting(payload)
        try:
            SHAPES[name].from_wire(Fields(noting))
        except (InvalidRequest, UnsupportedMedia):
            assert payload is not whole
        read |= noting.read
    assert read == set(schema["properties"])

    for field, shape in schema["properties"].items():
        without = {key: value for key, value in whole.items() if key != field}
        if field in schema["required"]:
            with pytest.raises(InvalidRequest) as refused:
                SHAPES[name].from_wire(Fields(without))
            assert refused.value.field == field
        else:
            SHAPES[name].from_wire(Fields(without))
        for wrong in _beyond(shape):
            if name == "turn_stop" and field == "client_id":
                without.pop("turn", None)  # where both are there the turn counts
            with pytest.raises((InvalidRequest, UnsupportedMedia)) as wrong_one:
                SHAPES[name].from_wire(Fields({**without, field: wrong}))
            assert wrong_one.value.field == field


def test_what_a_stock_client_receives_is_what_the_contract_says(stand: Stand, asyncapi: dict[str, Any]) -> None:
    """Every event and acknowledgement of a short life, good and bad, against its shape."""
    stand.provider.script = thoughtful
    messages = asyncapi["channels"]["text"]["messages"]
    received: list[tuple[str, Any]] = []
    ended = Event()

    def keep(event: str, payload: Any) -> None:
        received.append((event, payload))
        if event == "turn_end":
            ended.set()

    client: Any = socketio.Client(reconnection=False)
    client.on("*", keep, namespace="/text")
    client.connect(stand.site.open(), namespaces=["/text"], transports=["websocket"])

    def call(event: str, payload: Any) -> Any:
        answer = client.call(event, payload, namespace="/text", timeout=LIMIT_S)
        assert faults(answer, messages[f"{event}_ack"]["payload"], asyncapi) == []
        return answer

    started = call("turn_start", {"client_id": "c-1", "text": "hello", "window_ms": 0})
    assert ended.wait(LIMIT_S)
    ended.clear()
    call("turn_attach", {"turn": started["turn"], "epoch": 1, "after": 2})
    assert ended.wait(LIMIT_S)
    ended.clear()
    call("turn_regenerate", {"client_id": "c-2", "message": started["message"]})
    assert ended.wait(LIMIT_S)
    call("turn_stop", {"turn": started["turn"]})
    call("turn_detach", {"turn": started["turn"]})
    call("sync", None)
    for event in events.CLIENT_EVENTS[:-1]:
        assert call(event, {})["ok"] is False
    client.disconnect()

    for event, payload in received:
        assert faults(payload, messages[event]["payload"], asyncapi) == [], event
    assert {event for event, _ in received} == set(events.SERVER_EVENTS)


def _example(shape: dict[str, Any]) -> Any:
    if "anyOf" in shape and "type" not in shape:
        return _example(shape["anyOf"][-1])
    kind = shape["type"]
    if "enum" in shape:
        return shape["enum"][0]
    if "examples" in shape:
        return shape["examples"][0]
    if kind == "object":
        return {name: _example(inner) for name, inner in shape["properties"].items()}
    if kind == "array":
        return [_example(shape["items"])]
    if kind == "string":
        return "x" * shape.get("maxLength", 1)
    return shape.get("maximum", shape.get("minimum", 0))


def _beyond(shape: dict[str, Any]) -> list[Any]:
    """Values just outside a shape."""
    kind = shape["type"]
    if "enum" in shape:
        return ["other", ""] if kind == "string" else [7, "5", True]
    if kind == "object":
        return ["no object", []]
    if kind == "array":
        return [[_example(shape["items"])] * (shape["maxItems"] + 1), "no list"]
    if kind == "string":
        return ["x" * (shape["maxLength"] + 1), "", 5]
    beyond: list[Any] = [shape["minimum"] - 1, "5", True]
    return [*beyond, shape["maximum"] + 1] if "maximum" in shape else beyond
