"""Who a new Socket.IO connection is: a token, the page's cookie, or a guest."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from http.cookies import CookieError, SimpleCookie
from typing import Any

from services.accounts.doorkeeper import Doorkeeper
from services.accounts.sessions import SESSION_COOKIE
from services.errors import InvalidRequest
from services.identity import Identity


class SocketEntrance:
    """Reads the handshake. A cookie counts only from a trusted `Origin`: other sites' pages send it, too."""

    def __init__(self, doorkeeper: Doorkeeper, origin_trusted: Callable[[str | None, str], bool]) -> None:
        self._doorkeeper = doorkeeper
        self._origin_trusted = origin_trusted

    def identify(self, environ: dict[str, Any], auth: object) -> tuple[Identity, str | None]:
        token = _token(auth) or _bearer(environ)
        if token:
            return self._doorkeeper.by_token(token), None
        if (identity := self._by_cookie(environ)) is not None:
            return identity, None
        return self._doorkeeper.new_guest(environ.get("REMOTE_ADDR", ""))

    def _by_cookie(self, environ: dict[str, Any]) -> Identity | None:
        cookie = _cookie(environ)
        if cookie is None or not self._origin_trusted(environ.get("HTTP_ORIGIN"), environ.get("HTTP_HOST", "")):
            return None
        return self._doorkeeper.by_session(cookie)


def _token(auth: object) -> str | None:
    if auth is None:
        return None
    if not isinstance(auth, Mapping):
        raise InvalidRequest("auth must be an object.", field="auth")
    token = auth.get("token")
    if token is not None and not (isinstance(token, str) and len(token) <= 256):
        raise InvalidRequest("token must be a short text.", field="token")
    return token


def _bearer(environ: Mapping[str, Any]) -> str | None:
    kind, _, token = str(environ.get("HTTP_AUTHORIZATION", "")).partition(" ")
    return token.strip() if kind.lower() == "bearer" else None


def _cookie(environ: Mapping[str, Any]) -> str | None:
    try:
        morsel = SimpleCookie(environ.get("HTTP_COOKIE", "")).get(SESSION_COOKIE)
    except CookieError:
        return None
    return morsel.value if morsel else None
