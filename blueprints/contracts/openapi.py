"""The HTTP side as OpenAPI 3.1. Its own description and the page's files are not in it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from blueprints.contracts.http_shapes import SCHEMAS
from blueprints.contracts.shapes import (
    COUNT,
    POSITIVE,
    STATUS,
    TEXT,
    Schema,
    many,
    nullable,
    obj,
    one_of,
    ref,
    whole,
    words,
)
from services.accounts.sessions import SESSION_COOKIE

_PASSWORD = words(shortest=8, longest=256)


@dataclass(frozen=True, slots=True)
class Operation:
    """One method of one path.

    Attributes:
        answers: The shape of the good answer; None where it is no JSON, or none at all.
        form: The fields of a form that is sent in place of JSON, files among them.
        kinds: Media types of the good answer.
        body_kinds: Media types of a body that is no JSON.
        query: Words after the question mark, with their shapes.
        refusal: The shape of every refusal.
        open: Answers without a credential.
    """

    summary: str
    answers: Schema | None
    status: int = 200
    takes: Schema | None = None
    form: Schema | None = None
    body_kinds: tuple[str, ...] = ()
    query: dict[str, Schema] = field(default_factory=dict)
    kinds: tuple[str, ...] = ("application/json",)
    refusal: str = "Refusal"
    open: bool = False

    def to_document(self, path: str) -> dict[str, Any]:
        good: dict[str, Any] = {"description": "Done."}
        if self.answers is not None or self.kinds != ("application/json",):
            good["content"] = {kind: self._content(kind) for kind in self.kinds}
        refused = {
            "description": "Refused; see docs/errors.md.",
            "content": {"application/json": {"schema": ref(self.refusal)}},
        }
        shown: dict[str, Any] = {"summary": self.summary, "responses": {str(self.status): good, "default": refused}}
        parameters = [
            {"name": name, "in": "path", "required": True, "schema": TEXT} for name in re.findall(r"{(\w+)}", path)
        ] + [{"name": name, "in": "query", "schema": schema} for name, schema in self.query.items()]
        if parameters:
            shown["parameters"] = parameters
        if self.takes is not None:
            shown["requestBody"] = {"content": {"application/json": {"schema": self.takes}}}
        elif self.body_kinds:
            shown["requestBody"] = {"content": {kind: {} for kind in self.body_kinds}}
        if self.form is not None:
            shown["requestBody"] = {"content": {"multipart/form-data": {"schema": self.form}}}
        if self.open:
            shown["security"] = []
        return shown

    def _content(self, kind: str) -> dict[str, Any]:
        return {"schema": self.answers if kind == "application/json" and self.answers is not None else TEXT}


_NOTHING = obj()
_SIGN_IN = obj({"username": words(longest=32), "password": _PASSWORD})
_LIMIT = whole(1, 500)

OPERATIONS: dict[tuple[str, str], Operation] = {
    ("POST", "/v1/auth/register"): Operation(
        "Become a user; a guest keeps what it has.",
        ref("SignedIn"),
        201,
        obj({"username": words(longest=32), "password": _PASSWORD}, {"email": TEXT}),
        open=True,
    ),
    ("POST", "/v1/auth/login"): Operation("Sign in.", ref("SignedIn"), takes=_SIGN_IN, open=True),
    ("POST", "/v1/auth/guest"): Operation("Become a guest, where they are allowed.", ref("SignedIn"), 201, open=True),
    ("POST", "/v1/auth/logout"): Operation("End the credential this came with.", _NOTHING),
    ("GET", "/v1/auth/me"): Operation(
        "Who I am and what I may spend.", obj({"user": ref("User"), "quota": ref("Quota")})
    ),
    ("POST", "/v1/auth/password"): Operation(
        "Change the password.", _NOTHING, takes=obj({"old": _PASSWORD, "new": _PASSWORD})
    ),
    ("POST", "/v1/auth/password/reset"): Operation(
        "Set a new password by a ticket.", _NOTHING, takes=obj({"ticket": TEXT, "password": _PASSWORD}), open=True
    ),
    ("GET", "/v1/tokens"): Operation("My tokens.", obj({"tokens": many(ref("Token"))})),
    ("POST", "/v1/tokens"): Operation(
        "A new token, shown this once.",
        ref("NewToken"),
        201,
        obj({"name": words(longest=64)}, {"expires_in_s": whole(60, 315_360_000)}),
    ),
    ("DELETE", "/v1/tokens/{token_id}"): Operation("Revoke a token.", _NOTHING),
    ("GET", "/v1/spark/keys"): Operation("My credentials for Spark clients.", obj({"keys": many(ref("SparkKey"))})),
    ("POST", "/v1/spark/keys"): Operation(
        "A new one; its secret is shown this once.", ref("NewSparkKey"), 201, obj({"name": words(longest=64)})
    ),
    ("DELETE", "/v1/spark/keys/{api_key}"): Operation("Revoke one.", _NOTHING),
    ("GET", "/v1/conversations"): Operation(
        "My conversations, newest first.",
        obj({"conversations": many(ref("Conversation")), "next": nullable(TEXT)}),
        query={"limit": _LIMIT, "before": TEXT, "q": words(shortest=0, longest=256)},
    ),
    ("POST", "/v1/conversations"): Operation(
        "A new conversation.", ref("Conversation"), 201, obj({}, {"title": words(longest=200)})
    ),
    ("GET", "/v1/conversations/{conversation_id}"): Operation("One conversation.", ref("Conversation")),
    ("PATCH", "/v1/conversations/{conversation_id}"): Operation(
        "Rename it.", ref("Conversation"), takes=obj({"title": words(longest=200)})
    ),
    ("DELETE", "/v1/conversations/{conversation_id}"): Operation("Stop what runs in it and delete it.", _NOTHING),
    ("GET", "/v1/conversations/{conversation_id}/messages"): Operation(
        "Its messages, oldest first, all branches.",
        obj({"messages": many(ref("Message")), "next": nullable(TEXT)}),
        query={"limit": _LIMIT, "after": TEXT},
    ),
    ("GET", "/v1/conversations/{conversation_id}/export"): Operation(
        "It as a file.",
        obj({"conversation": ref("Conversation"), "messages": many(ref("Message"))}),
        query={"format": one_of("markdown", "json")},
        kinds=("text/markdown", "application/json"),
    ),
    ("GET", "/v1/turns/{turn_id}"): Operation(
        "A turn's log from a position, once or followed.",
        ref("Turn"),
        query={"after": COUNT, "epoch": POSITIVE},
        kinds=("application/json", "text/event-stream"),
    ),
    ("POST", "/v1/turns/{turn_id}/stop"): Operation(
        "End a turn.", obj({"status": STATUS, "offset": COUNT, "length": COUNT})
    ),
    ("GET", "/v1/pictures"): Operation("My newest pictures.", obj({"pictures": many(ref("Picture"))})),
    ("POST", "/v1/pictures"): Operation(
        "Keep a picture: at most 10 MB and 40 megapixels.",
        ref("Picture"),
        201,
        body_kinds=("image/*", "application/octet-stream"),
    ),
    ("GET", "/v1/pictures/{picture_id}"): Operation("Its bytes.", None, kinds=("image/png", "image/jpeg")),
    ("DELETE", "/v1/pictures/{picture_id}"): Operation("Delete it.", _NOTHING),
    ("POST", "/v1/images/generations"): Operation(
        "Pictures in OpenAI's shape.",
        obj({"created": COUNT, "data": many(obj({}, {"url": TEXT, "b64_json": TEXT}))}),
        takes=obj(
            {"prompt": words(longest=4_000)},
            {
                "model": words(longest=128),
                "n": whole(1, 4),
                "size": words(longest=16),
                "response_format": one_of("url", "b64_json"),
            },
        ),
        refusal="ChatRefusal",
    ),
    ("GET", "/v1/models"): Operation(
        "The models.",
        obj({"object": {"const": "list"}, "data": many(ref("ModelEntry"))}),
        refusal="ChatRefusal",
        open=True,
    ),
    ("GET", "/v1/models/{model_id}"): Operation("One model.", ref("ModelEntry"), refusal="ChatRefusal", open=True),
    ("POST", "/v1/chat/completions"): Operation(
        "An answer in OpenAI's shape; as events each `data` is a ChatChunk.",
        ref("ChatCompletion"),
        takes=ref("ChatRequest"),
        kinds=("application/json", "text/event-stream"),
        refusal="ChatRefusal",
        open=True,
    ),
    ("POST", "/v1/audio/transcriptions"): Operation(
        "The words of a recording: a WAV, or 16-bit PCM.",
        ref("Transcription"),
        form=obj(
            {"file": {"type": "string", "contentMediaType": "audio/wav"}},
            {
                "model": words(longest=128),
                "language": words(longest=16),
                "response_format": one_of("json", "text", "srt", "verbose_json", "vtt"),
            },
        ),
        kinds=("application/json", "text/plain", "text/vtt"),
        refusal="ChatRefusal",
        open=True,
    ),
    ("GET", "/healthz"): Operation("The process answers.", obj({"status": {"const": "ok"}}), open=True),
    ("GET", "/readyz"): Operation("It should get traffic; 503 when not.", ref("Readiness"), open=True),
    ("GET", "/metrics"): Operation("For Prometheus, on this machine.", None, kinds=("text/plain",), open=True),
}
"""Every route that programs use."""


def document() -> dict[str, Any]:
    """The whole contract."""
    paths: dict[str, dict[str, Any]] = {}
    for (method, path), operation in OPERATIONS.items():
        paths.setdefault(path, {})[method.lower()] = operation.to_document(path)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Parley", "version": "1", "description": "docs/http.md has the rules."},
        "security": [{"token": []}, {"session": []}],
        "paths": paths,
        "components": {
            "schemas": SCHEMAS,
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer"},
                "session": {"type": "apiKey", "in": "cookie", "name": SESSION_COOKIE},
            },
        },
    }
