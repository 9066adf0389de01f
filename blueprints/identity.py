"""Who asks over HTTP: a bearer token or the page's cookie, which counts only when our own page sent it."""

from __future__ import annotations

import flask
from flask import request

from blueprints.cors import OriginRule
from services.accounts.doorkeeper import Doorkeeper
from services.accounts.sessions import LIFE_S, SESSION_COOKIE
from services.errors import Forbidden, Unauthenticated
from services.identity import Identity

_SAFE_METHODS = ("GET", "HEAD", "OPTIONS")


class Callers:
    """Identifies the caller of the request at hand. Identity comes from a credential, never from a field."""

    def __init__(self, doorkeeper: Doorkeeper, origins: OriginRule) -> None:
        self._doorkeeper = doorkeeper
        self.origins = origins

    def check_origin(self) -> None:
        """Refuse a change that another site's page asks for. Runs before every route.

        A bearer token is never sent unasked, so it needs no origin.

        Raises:
            Forbidden: The page is foreign.
        """
        if request.method in _SAFE_METHODS or _bearer() is not None or self.from_trusted_page():
            return
        raise _foreign()

    def from_trusted_page(self) -> bool:
        """Whether the page that asks may use its visitor's cookies; what is no page may."""
        origin = request.headers.get("Origin")
        if origin is not None:
            return self.origins.trusts(origin, request.headers.get("Host"))
        return request.headers.get("Sec-Fetch-Site", "same-origin") == "same-origin"

    def caller(self) -> Identity:
        """The caller.

        Raises:
            Unauthenticated: No credential, or one that is not valid.
            Forbidden: The page's cookie, without a word of which page sent it.
        """
        if (identity := self.known()) is not None:
            return identity
        if SESSION_COOKIE in request.cookies and not _cookie_counts():
            raise _foreign()
        raise Unauthenticated("Sign in first.")

    def known(self) -> Identity | None:
        """The caller; None without a credential that counts, or with a session that has ended.

        Raises:
            Unauthenticated: A bearer token that is not valid.
        """
        identity: Identity | None = None
        if (token := _bearer()) is not None:
            identity = self._doorkeeper.by_token(token)
        elif (cookie := request.cookies.get(SESSION_COOKIE)) is not None and _cookie_counts():
            identity = self._doorkeeper.by_session(cookie)
        if identity is not None:
            flask.g.user = identity.user_id
        return identity

    def guest_of_address(self) -> Identity:
        """The guest of the caller's address, for callers without any credential.

        Raises:
            Unauthenticated: Guests are not allowed here.
            RateLimited: Too many guests from there.
        """
        identity = self._doorkeeper.guest_of(request.remote_addr or "")
        flask.g.user = identity.user_id
        return identity


def _cookie_counts() -> bool:
    """Browsers tell where a request that changes something comes from, and `check_origin` has looked at it: without
    either header nobody can know who made the browser send its cookie."""
    return request.method in _SAFE_METHODS or "Origin" in request.headers or "Sec-Fetch-Site" in request.headers


def _foreign() -> Forbidden:
    return Forbidden("This web page may not do that here; see ALLOWED_ORIGINS.")


def set_session(response: flask.Response, secret: str) -> None:
    """Give the browser its session."""
    response.set_cookie(
        SESSION_COOKIE, secret, max_age=LIFE_S, path="/", httponly=True, samesite="Lax", secure=_came_by_https()
    )


def clear_session(response: flask.Response) -> None:
    """Take the session cookie back."""
    response.delete_cookie(SESSION_COOKIE, path="/", httponly=True, samesite="Lax", secure=_came_by_https())


def _came_by_https() -> bool:
    """Behind a proxy that ends TLS the browser still tells by its `Origin`; a lie can only make us stricter."""
    return request.is_secure or request.headers.get("Origin", "").startswith("https://")


def _bearer() -> str | None:
    kind, _, token = request.headers.get("Authorization", "").partition(" ")
    return token.strip() if kind.lower() == "bearer" else None
