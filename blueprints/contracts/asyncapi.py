"""The Socket.IO side as AsyncAPI 3: one channel a namespace, one message an event."""

from __future__ import annotations

from typing import Any

from blueprints.contracts import picture_events, voice_events
from blueprints.contracts.shapes import (
    COUNT,
    FLAG,
    ID,
    PLACE,
    POSITIVE,
    RUNNING_OR_STATUS,
    SHARED,
    STATUS,
    TEXT,
    TIME_MS,
    Schema,
    many,
    number,
    obj,
    ref,
    whole,
    words,
)

MAYBE_ID: Schema = {"type": "string", "maxLength": 64, "description": "Empty for a turn outside any conversation."}
_WINDOW = {"window_ms": whole(0, 250)}
_STARTED = obj(
    {"turn": ID, "conversation": ID, "message": ID, "epoch": POSITIVE, "offset": COUNT},
    {"from": COUNT, "text": TEXT, "reasoning": TEXT},
)

CLIENT_EVENTS: dict[str, tuple[Schema, Schema]] = {
    "turn_start": (
        obj(
            {"client_id": ID, "text": words(longest=32_000)},
            {
                "conversation": ID,
                "parent": ID,
                "model": words(longest=128),
                "system": words(longest=32_000),
                "temperature": number(0, 2),
                "top_p": number(0, 1),
                "max_tokens": whole(1, 1_000_000),
                "pictures": {**many(ID), "maxItems": 8},
                **_WINDOW,
            },
        ),
        _STARTED,
    ),
    "turn_regenerate": (obj({"client_id": ID, "message": ID}, {"model": words(longest=128), **_WINDOW}), _STARTED),
    "turn_attach": (
        obj({"turn": ID}, {"epoch": POSITIVE, "after": COUNT, **_WINDOW}),
        obj({**PLACE, "status": RUNNING_OR_STATUS, "from": COUNT}, {"text": TEXT, "reasoning": TEXT}),
    ),
    "turn_stop": (
        {**obj({}, {"turn": ID, "client_id": ID}), "anyOf": [{"required": ["turn"]}, {"required": ["client_id"]}]},
        obj({"turn": ID, "status": STATUS, "offset": COUNT, "length": COUNT}),
    ),
    "turn_detach": (obj({"turn": ID}), obj()),
    "sync": (obj(), obj({"running": many(obj({**PLACE, "conversation": MAYBE_ID, "message": MAYBE_ID}))})),
}
"""What a client sends, and what a good acknowledgement adds to `ok: true`."""


def _welcome(lists: dict[str, Schema]) -> Schema:
    return obj(
        {
            "protocol": {"type": "integer", "const": 1},
            "user": ref("User"),
            "quota": ref("Quota"),
            "limits": {"type": "object"},
            "server_time_ms": TIME_MS,
            **lists,
        },
        {"token": TEXT},
    )


SERVER_EVENTS: dict[str, Schema] = {
    "welcome": _welcome({"models": many(ref("Model"))}),
    "turn_state": ref("turn_state"),
    "turn_delta": ref("turn_delta"),
    "turn_rewind": ref("turn_rewind"),
    "turn_end": ref("turn_end"),
    "conversation_changed": obj({"conversation": ID, "version": COUNT}, {"title": TEXT, "deleted": FLAG}),
    "quota_changed": ref("Quota"),
}
"""What the server sends."""


_SHARED_BY_TURNS = ("turn_attach", "turn_stop", "turn_detach", "sync")

CHANNELS: dict[str, tuple[dict[str, tuple[Schema, Schema | None]], dict[str, Schema]]] = {
    "text": ({**CLIENT_EVENTS}, SERVER_EVENTS),
    "voice": (
        {**voice_events.CLIENT_EVENTS, **{name: CLIENT_EVENTS[name] for name in _SHARED_BY_TURNS}},
        {**SERVER_EVENTS, **voice_events.SERVER_EVENTS, "welcome": _welcome(voice_events.MODELS)},
    ),
    "picture": (
        {**picture_events.CLIENT_EVENTS, **{name: CLIENT_EVENTS[name] for name in _SHARED_BY_TURNS}},
        {**SERVER_EVENTS, "welcome": _welcome(picture_events.MODELS)},
    ),
}
"""By namespace: what a client sends, and what the server sends."""


def acknowledgement(good: Schema) -> Schema:
    """Either the good answer or the error; always one object."""
    ok = obj({"ok": {"const": True}, **good["properties"]})
    ok["required"] = ["ok", *good["required"]]
    return {"oneOf": [ok, obj({"ok": {"const": False}, "error": ref("Error")})]}


def document() -> dict[str, Any]:
    """The whole contract."""
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Parley",
            "version": "1",
            "description": "Socket.IO 4 on /socket.io/. Each message is an event with one object; each event of a"
            " client but voice_frame is acknowledged by one object. docs/protocol.md has the rules.",
        },
        "defaultContentType": "application/json",
        "channels": {name: {"address": f"/{name}", "messages": _messages(name)} for name in CHANNELS},
        "operations": {key: value for name in CHANNELS for key, value in _operations(name).items()},
        "components": {"schemas": SHARED},
    }


def _messages(channel: str) -> dict[str, Any]:
    sent, told = CHANNELS[channel]
    shapes: dict[str, Schema] = {name: payload for name, (payload, _) in sent.items()}
    shapes |= {f"{name}_ack": acknowledgement(good) for name, (_, good) in sent.items() if good is not None}
    return {name: {"name": name, "payload": payload} for name, payload in {**shapes, **told}.items()}


def _operations(channel: str) -> dict[str, Any]:
    """By `<channel>_<event>`."""
    sent, told = CHANNELS[channel]
    received = {
        f"{channel}_{name}": {
            "action": "receive",
            **_on(channel, name),
            **({"reply": _on(channel, f"{name}_ack")} if good is not None else {}),
        }
        for name, (_, good) in sent.items()
    }
    return {**received, **{f"{channel}_{name}": {"action": "send", **_on(channel, name)} for name in told}}


def _on(channel: str, message: str) -> dict[str, Any]:
    address = f"#/channels/{channel}"
    return {"channel": {"$ref": address}, "messages": [{"$ref": f"{address}/messages/{message}"}]}
