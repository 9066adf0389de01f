"""bailian-proxy's accounts: `/api/auth`, for which its newest page has a client and the old server had nothing."""

from __future__ import annotations

from typing import Any

import flask
from flask import request

from blueprints.compat.backend import CompatBlueprint
from blueprints.compat.wire import answer
from blueprints.identity import Callers
from blueprints.reading import json_object
from services.accounts.contacts import Contacts
from services.accounts.names import MAX_STORED
from services.accounts.refreshing import ACCESS_LIFE_S, Pair, RefreshTokens
from services.assembly import Services
from services.errors import InvalidRequest
from services.fields import Fields
from services.identity import Identity

MAX_BODY_BYTES = 64_000
_LONGEST = 256


def mount(blueprint: CompatBlueprint, services: Services, callers: Callers) -> None:
    """Add the routes."""
    accounts, contacts = services.accounts, Contacts(services.uow)
    refreshing = RefreshTokens(services.uow, services.clock, services.tokens)

    def shown(identity: Identity) -> dict[str, Any]:
        email = contacts.email_of(identity.user_id)
        return {"id": identity.user_id, "username": identity.name, **({"email": email} if email else {})}

    def told(pair: Pair) -> flask.Response:
        return answer(
            {
                "user": shown(pair.identity),
                "accessToken": pair.access,
                "refreshToken": pair.refresh,
                "expiresIn": ACCESS_LIFE_S,
            }
        )

    @blueprint.post("/api/auth/register")
    def register() -> flask.Response:
        fields = _body()
        made = accounts.register(
            fields.text("username", longest=_LONGEST),
            _secret(fields, "password"),
            fields.optional_text("email", longest=_LONGEST),
            address=request.remote_addr or "",
            longest_name=MAX_STORED,
        )
        return told(refreshing.issue(made.identity))

    @blueprint.post("/api/auth/login")
    def login() -> flask.Response:
        fields = _body()
        signed_in = accounts.login(
            fields.text("username", longest=_LONGEST), _secret(fields, "password"), address=request.remote_addr or ""
        )
        return told(refreshing.issue(signed_in.identity))

    @blueprint.post("/api/auth/refresh")
    def refresh() -> flask.Response:
        return told(refreshing.renew(_secret(_body(), "refreshToken")))

    @blueprint.get("/api/auth/me")
    def me() -> flask.Response:
        user = shown(callers.caller())
        return answer({**user, "user": user})


def _body() -> Fields:
    return Fields(json_object(MAX_BODY_BYTES), name="body")


def _secret(fields: Fields, name: str) -> str:
    """Exactly as it was typed. Raises `InvalidRequest`."""
    value = fields.raw(name)
    if not isinstance(value, str) or not value:
        raise InvalidRequest(f"{name} is missing.", field=name)
    return value
