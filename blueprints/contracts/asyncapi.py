"""The Socket.IO side as AsyncAPI 3: one channel a namespace, one message an event."""

from __future__ import annotations

from typing import Any

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
    "sync": (obj(), obj({"running": many(obj({**PLACE, "conversation": ID, "message": ID}))})),
}
"""What a client sends, and what a good acknowledgement adds to `ok: true`."""

SERVER_EVENTS: dict[str, Schema] = {
    "welcome": obj(
        {
            "protocol": {"type": "integer", "const": 1},
            "user": ref("User"),
            "quota": ref("Quota"),
            "limits": {"type": "object"},
            "server_time_ms": TIME_MS,
            "models": many(ref("Model")),
        },
        {"token": TEXT},
    ),
    "turn_state": ref("turn_state"),
    "turn_delta": ref("turn_delta"),
    "turn_rewind": ref("turn_rewind"),
    "turn_end": ref("turn_end"),
    "conversation_changed": obj({"conversation": ID, "version": COUNT}, {"title": TEXT, "deleted": FLAG}),
    "quota_changed": ref("Quota"),
}
"""What the server sends."""


def acknowledgement(good: Schema) -> Schema:
    """Either the good answer or the error; always one object."""
    ok = obj({"ok": {"const": True}, **good["properties"]})
    ok["required"] = ["ok", *good["required"]]
    return {"oneOf": [ok, obj({"ok": {"const": False}, "error": ref("Error")})]}


def document() -> dict[str, Any]:
    """The whole contract."""
    sent = {name: {"name": name, "payload": payload} for name, (payload, _) in CLIENT_EVENTS.items()}
    acks = {
        f"{name}_ack": {"name": f"{name}_ack", "payload": acknowledgement(good)}
        for name, (_, good) in CLIENT_EVENTS.items()
    }
    told = {name: {"name": name, "payload": payload} for name, payload in SERVER_EVENTS.items()}
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Parley",
            "version": "1",
            "description": "Socket.IO 4 on /socket.io/. Each message is an event with one object; each event of a"
            " client is acknowledged by one object. docs/protocol.md has the rules.",
        },
        "defaultContentType": "application/json",
        "channels": {"text": {"address": "/text", "messages": {**sent, **acks, **told}}},
        "operations": {
            **{name: _received(name) for name in CLIENT_EVENTS},
            **{name: {"action": "send", **_on(name)} for name in SERVER_EVENTS},
        },
        "components": {"schemas": SHARED},
    }


def _received(name: str) -> dict[str, Any]:
    return {"action": "receive", **_on(name), "reply": _on(f"{name}_ack")}


def _on(message: str) -> dict[str, Any]:
    channel = "#/channels/text"
    return {"channel": {"$ref": channel}, "messages": [{"$ref": f"{channel}/messages/{message}"}]}
