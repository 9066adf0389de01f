"""cloud-chat's browser session: a signed cookie that names the guest and the conversation."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import flask
from flask import request
from itsdangerous import BadData, URLSafeSerializer

from blueprints.compat.visitors import Visitors
from config import CloudChatSettings
from services.assembly import Services
from services.errors import NotFound
from services.identity import Identity

COOKIE = "cc_app"
"""Not `session`, as it once was: doubao-web has that name."""


class Session(NamedTuple):
    """One browser's.

    Attributes:
        identity: Whose questions these are.
        secret: What makes the browser its guest again; empty when it is known by something else.
        conversation: What goes on; None when the next question begins a new one.
    """

    identity: Identity
    secret: str
    conversation: str | None


class CloudSessions:
    """Reads and writes the cookie. It is written only once a question was accepted, and renewed with every one."""

    def __init__(self, services: Services, visitors: Visitors, settings: CloudChatSettings) -> None:
        self._services = services
        self._visitors = visitors
        self._settings = settings

    def present(self, known: Identity | None) -> Session | None:
        """The session that the request brings, when it still lives; what another user left in it does not count."""
        try:
            secret, conversation = self._signer().loads(request.cookies.get(COOKIE, ""))
        except (BadData, ValueError, TypeError):
            return None
        if known is not None:
            return Session(known, str(secret), self._living(known, conversation))
        visit = self._visitors.returning(str(secret)) if secret else None
        if visit is None:
            return None
        return Session(visit.identity, visit.secret, self._living(visit.identity, conversation))

    def current(self, known: Identity | None) -> Session:
        """`present`, else a new one; for a caller nobody knows, a new guest's.

        Raises:
            Unauthenticated: Guests are not allowed here.
            RateLimited: Too many guests from this address.
        """
        if (session := self.present(known)) is not None:
            return session
        if known is not None:
            return Session(known, "", None)
        visit = self._visitors.newcomer()
        return Session(visit.identity, visit.secret, None)

    def restart(self, session: Session) -> Session:
        """The same browser with an empty conversation."""
        user_id = session.identity.user_id
        if session.conversation is not None:
            page = self._services.conversations.messages(user_id, session.conversation, limit=1)
            if not page.items:
                return session
        return session._replace(conversation=self._services.conversations.create(user_id).id)

    def keep(self, response: flask.Response, session: Session) -> None:
        """Give it to the browser."""
        life_s = self._settings.session_expire_s
        now = datetime.fromtimestamp(self._services.clock.now_ms() / 1000, UTC)
        response.set_cookie(
            COOKIE,
            self._signer().dumps([session.secret, session.conversation]),
            expires=now + timedelta(seconds=life_s),
            httponly=True,
            samesite="Lax",
            secure=self.secure,
            path="/",
        )
        response.vary.add("Cookie")

    @property
    def secure(self) -> bool:
        """Whether cookies travel over TLS only; by default when the page did."""
        if self._settings.cookie_secure == "auto":
            return request.is_secure or request.headers.get("Origin", "").startswith("https://")
        return self._settings.cookie_secure in ("true", "1", "yes", "on")

    def _living(self, identity: Identity, conversation: object) -> str | None:
        """The conversation, when it is this user's and was used within the session's life."""
        if not isinstance(conversation, str):
            return None
        try:
            record = self._services.conversations.get(identity.user_id, conversation)
        except NotFound:
            return None
        idle_ms = self._services.clock.now_ms() - record.updated_ms
        return conversation if idle_ms < self._settings.session_expire_s * 1000 else None

    @staticmethod
    def _signer() -> URLSafeSerializer:
        return URLSafeSerializer(flask.current_app.secret_key or "", salt=COOKIE)
