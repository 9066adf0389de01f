"""`/v1/auth` and `/v1/tokens`: come in, go out, keep a password, hand out tokens."""

from __future__ import annotations

import flask
from flask import request

from blueprints.identity import Callers, clear_session, set_session
from blueprints.reading import body
from blueprints.replies import reply
from services.accounts.sessions import SESSION_COOKIE
from services.assembly import Services
from services.errors import InvalidRequest
from services.fields import Fields
from services.identity import Identity

_LONGEST_NAME = 256
_LONGEST_EMAIL = 512


def build(services: Services, callers: Callers) -> flask.Blueprint:
    """The routes."""
    blueprint = flask.Blueprint("accounts", __name__)
    accounts, sessions, tokens = services.accounts, services.sessions, services.tokens

    def signed_in(identity: Identity, token: str, status: int) -> flask.Response:
        # A new session id at every sign-in: one that was planted before means nothing after it.
        secret = sessions.start(identity.user_id, replaces=request.cookies.get(SESSION_COOKIE))
        response = reply({"user": identity.to_wire(), "token": token}, status)
        set_session(response, secret)
        return response

    @blueprint.post("/v1/auth/register")
    def register() -> flask.Response:
        fields = body("username", "password", "email")
        identity, token = accounts.register(
            fields.text("username", longest=_LONGEST_NAME),
            secret_of(fields, "password"),
            fields.optional_text("email", longest=_LONGEST_EMAIL),
            guest=callers.known(),
            address=request.remote_addr or "",
        )
        return signed_in(identity, token, 201)

    @blueprint.post("/v1/auth/login")
    def login() -> flask.Response:
        fields = body("username", "password")
        identity, token = accounts.login(
            fields.text("username", longest=_LONGEST_NAME),
            secret_of(fields, "password"),
            address=request.remote_addr or "",
        )
        return signed_in(identity, token, 200)

    @blueprint.post("/v1/auth/guest")
    def guest() -> flask.Response:
        body()
        identity, token = services.doorkeeper.new_guest(request.remote_addr or "")
        return signed_in(identity, token, 201)

    @blueprint.post("/v1/auth/logout")
    def logout() -> flask.Response:
        body()
        identity = callers.caller()
        (tokens if identity.credential == "token" else sessions).end(identity)
        response = reply({})
        if identity.credential == "session":
            clear_session(response)
        return response

    @blueprint.get("/v1/auth/me")
    def me() -> flask.Response:
        welcome = services.welcomes.for_user(callers.caller())
        return reply({"user": welcome["user"], "quota": welcome["quota"]})

    @blueprint.post("/v1/auth/password")
    def change_password() -> flask.Response:
        identity = callers.caller()
        fields = body("old", "new")
        accounts.change_password(identity, secret_of(fields, "old"), secret_of(fields, "new"))
        return reply({})

    @blueprint.post("/v1/auth/password/reset")
    def reset_password() -> flask.Response:
        fields = body("ticket", "password")
        accounts.reset(secret_of(fields, "ticket"), secret_of(fields, "password"))
        return reply({})

    @blueprint.get("/v1/tokens")
    def list_tokens() -> flask.Response:
        return reply({"tokens": [token.to_wire() for token in tokens.list(callers.caller().user_id)]})

    @blueprint.post("/v1/tokens")
    def issue_token() -> flask.Response:
        identity = callers.caller()
        fields = body("name", "expires_in_s")
        issued = tokens.issue(
            identity.user_id,
            fields.text("name", longest=64),
            expires_in_s=fields.optional_integer("expires_in_s", low=1, high=2**53),
        )
        record = {name: value for name, value in issued.record.to_wire().items() if name != "last_used_ms"}
        return reply({**record, "token": issued.secret}, 201)

    @blueprint.delete("/v1/tokens/<token_id>")
    def revoke_token(token_id: str) -> flask.Response:
        tokens.revoke(callers.caller().user_id, token_id)
        return reply({})

    return blueprint


def secret_of(fields: Fields, name: str) -> str:
    """A password or ticket exactly as it was typed: cleaning it would make another one of it.

    Raises:
        InvalidRequest: Missing, or not text. Its form is for `services/accounts` to judge.
    """
    value = fields.raw(name)
    if value is None:
        raise InvalidRequest(f"{name} is missing.", field=name)
    if not isinstance(value, str):
        raise InvalidRequest(f"{name} must be text.", field=name)
    return value
