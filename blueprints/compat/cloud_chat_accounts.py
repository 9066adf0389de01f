"""cloud-chat's later accounts: `/auth/*`, with a cookie of their own."""

from __future__ import annotations

import hashlib
import re
from typing import Any

import flask
import gevent
import orjson
from flask import request

from blueprints.compat.backend import CompatBlueprint
from blueprints.compat.cloud_chat_session import CloudSessions
from blueprints.compat.wire import answer
from config import ConfigError, is_loopback
from services.accounts.accounts import checked_email
from services.accounts.contacts import Contacts
from services.accounts.mail import Mailer
from services.accounts.names import MAX_STORED
from services.assembly import Services
from services.cleaning import one_line
from services.errors import ChatError, Conflict, InvalidRequest, NotFound, RateLimited
from services.identity import Identity

COOKIE = "cc_auth"
LIFE_S = 604_800
LONGEST_PASSWORD = 128
_PHONE = re.compile(r"\+?[0-9][0-9 -]{3,29}")
_HEADERS = {
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "SAMEORIGIN",
    "Referrer-Policy": "strict-origin-when-cross-origin",
}


class CloudAccounts:
    """Who is signed in by this backend's own cookie, and the routes to become so."""

    def __init__(self, services: Services, sessions: CloudSessions) -> None:
        self._services = services
        self._sessions = sessions
        self._contacts = Contacts(services.uow)
        self._settings = services.settings.mail
        if self._settings.debug_reset_token and not is_loopback(services.settings.server.host):
            raise ConfigError(
                "DEBUG_RETURN_RESET_TOKEN gives every account to whoever asks; it works on a loopback HOST only.",
                "DEBUG_RETURN_RESET_TOKEN 会把任何账号交给询问者，只能用于回环地址的 HOST。",
            )
        self._mailer = Mailer(self._settings)
        self._limits = {
            name: services.sharing.rate_limit(f"cloud-chat {name}", per_minute=an_hour / 60, burst=an_hour)
            for name, an_hour in (("register ip", 10), ("register id", 3), ("forgot ip", 20), ("forgot id", 5))
        }

    def known(self) -> Identity | None:
        """Whose cookie this is."""
        identity = self._services.sessions.identify(request.cookies.get(COOKIE, ""))
        if identity is not None:
            flask.g.user = identity.user_id
        return identity

    def add_to(self, blueprint: CompatBlueprint) -> None:
        """Add the routes."""
        blueprint.post("/auth/register")(self.register)
        blueprint.post("/auth/login")(self.login)
        blueprint.post("/auth/logout")(self.logout)
        blueprint.get("/auth/me")(self.me)
        blueprint.post("/auth/password/forgot")(self.forgot_password)
        blueprint.post("/auth/password/reset")(self.reset_password)
        blueprint.get("/auth/healthz")(self.healthz)
        blueprint.after_request(_guarded)

    def register(self) -> flask.Response:
        body = _body()
        email = _said(body, "email").lower()
        if not email:
            return refused("email required", 400)
        password, phone = body.get("password"), _said(body, "phone") or None
        try:
            checked_email(email)
        except InvalidRequest:
            return refused("Invalid email", 400)
        if len(email) > MAX_STORED or (phone is not None and not _PHONE.fullmatch(phone)):
            return refused("Invalid email" if len(email) > MAX_STORED else "Invalid phone", 400)
        if not is_strong(password):
            return refused("Weak password", 400)
        self._limit("register ip", request.remote_addr or "")
        self._limit("register id", email)
        if phone is not None and self._contacts.is_taken(phone):
            return refused("Phone already registered", 409)
        try:
            signed_in = self._services.accounts.register(
                email, str(password), email, address=request.remote_addr or "", longest_name=MAX_STORED
            )
        except Conflict:
            return refused("Email already registered", 409)
        except InvalidRequest as error:
            return refused("Weak password" if error.field == "password" else "Invalid email", 400)
        shown = one_line(_said(body, "display_name"), MAX_STORED) or email.partition("@")[0]
        try:
            self._contacts.add(signed_in.identity.user_id, phone=phone, display_name=shown)
        except Conflict:  # somebody else was quicker with the phone; the account stands without it
            self._contacts.add(signed_in.identity.user_id, phone=None, display_name=shown)
        self._services.tokens.end(signed_in.identity)  # this backend's clients know no tokens
        self._mailer.send(email, "Welcome / 欢迎", f"{shown}: your account is ready.\n您的账号已开通。\n")
        return answer({"ok": True}, 201)

    def login(self) -> flask.Response:
        body = _body()
        identifier = _said(body, "identifier")
        if not identifier.isdigit() and "@" in identifier:
            identifier = identifier.lower()
        try:
            signed_in = self._services.accounts.login(
                self._contacts.name_of(identifier), str(body.get("password") or ""), address=request.remote_addr or ""
            )
        except ChatError:
            return refused("Invalid credentials", 401)
        secret = self._services.sessions.start(signed_in.identity.user_id, replaces=request.cookies.get(COOKIE))
        self._services.tokens.end(signed_in.identity)
        response = answer({"ok": True})
        self._keep(response, secret, LIFE_S)
        return response

    def logout(self) -> flask.Response:
        if (identity := self.known()) is not None:
            self._services.sessions.end(identity)
        response = answer({"ok": True})
        self._keep(response, "", 0)
        return response

    def me(self) -> flask.Response:
        identity = self.known()
        if identity is None:
            return refused("Unauthorized", 401)
        contact = self._contacts.of(identity.user_id)
        user = {
            "id": contact.number,
            "uid": hashlib.sha256(identity.user_id.encode()).hexdigest()[:12],
            "email": contact.email,
            "phone": contact.phone,
            "display_name": contact.display_name,
            "is_active": True,
        }
        return answer({"ok": True, "user": user})

    def forgot_password(self) -> flask.Response:
        """The answer is the same, and as soon, whoever asks for whom."""
        identifier = _said(_body(), "identifier")
        try:
            self._limit("forgot ip", request.remote_addr or "")
            self._limit("forgot id", identifier.lower())
        except RateLimited:
            return answer({"ok": True})
        if self._settings.debug_reset_token and _is_from_here():
            return answer({"ok": True, **self._debugging(identifier)})
        if self._settings.smtp_host and self._settings.frontend_base_url:
            gevent.spawn(self._mail_reset, identifier)
        return answer({"ok": True})

    def _debugging(self, identifier: str) -> dict[str, Any]:
        """What a developer of a reset page is told in place of a mail; nothing where there is no such user."""
        found = self._reset_of(identifier)
        return {"debug_token": found[1], "debug_ttl": self._settings.reset_ttl_s} if found else {}

    def _mail_reset(self, identifier: str) -> None:
        if (found := self._reset_of(identifier)) is None:
            return
        name, ticket = found
        link = f"{self._settings.frontend_base_url.rstrip('/')}/reset_password?token={ticket}"
        self._mailer.send(name, "New password / 重置密码", f"Set a new password: {link}\n设置新密码：{link}\n")

    def _reset_of(self, identifier: str) -> tuple[str, str] | None:
        """Address and a new ticket of the user who is meant."""
        name = self._contacts.name_of(identifier)
        try:
            checked_email(name)
            return name, self._services.accounts.issue_reset(name, life_s=self._settings.reset_ttl_s)
        except (NotFound, InvalidRequest):
            return None

    def reset_password(self) -> flask.Response:
        body = _body()
        token, password = _said(body, "token"), body.get("password")
        if not token or not is_strong(password):
            return refused("Invalid token or weak password", 400)
        try:
            ended = self._services.accounts.reset(
                token, str(password), end_sessions=self._settings.reset_ends_sessions
            )
        except InvalidRequest as error:
            weak = error.field == "password"
            return refused("Invalid token or weak password" if weak else "Token invalid or expired", 400)
        return answer({"ok": True, "revoked_sessions": ended})

    def healthz(self) -> flask.Response:
        told = {"db": self._services.database_answers(), "redis": self._services.sharing.redis_answers()}
        good = all(told.values())
        return answer({**told, "ok": good}, 200 if good else 503)

    def _limit(self, name: str, key: str) -> None:
        limit = self._limits[name]
        if limit is not None and (wait_s := limit.take(key)) > 0:
            raise RateLimited("Too many requests", retry_after_s=round(wait_s, 1))

    def _keep(self, response: flask.Response, secret: str, life_s: int) -> None:
        response.set_cookie(
            COOKIE, secret, max_age=life_s, path="/", httponly=True, samesite="Lax", secure=self._sessions.secure
        )


def refused(sentence: str, status: int) -> flask.Response:
    return answer({"ok": False, "error": sentence}, status)


def is_strong(password: Any) -> bool:
    """8 to 128 characters, of two kinds among letters, digits and others."""
    if not isinstance(password, str) or not 8 <= len(password) <= LONGEST_PASSWORD:
        return False
    kinds = {"letter" if char.isalpha() else "digit" if char.isdigit() else "other" for char in password}
    return len(kinds) >= 2


def _is_from_here() -> bool:
    """Whether it was asked on this machine, and through no proxy: behind one everybody has a loopback address."""
    proxied = any(name in request.headers for name in ("X-Forwarded-For", "X-Real-IP", "Forwarded", "Via"))
    return is_loopback(request.remote_addr or "") and not proxied


def _guarded(response: flask.Response) -> flask.Response:
    if "/auth/" in request.path:
        response.headers.update(_HEADERS)
    return response


def _body() -> dict[str, Any]:
    """The body; what is no JSON object counts as an empty one."""
    try:
        value = orjson.loads(request.get_data(cache=False))
    except orjson.JSONDecodeError:
        return {}
    return value if isinstance(value, dict) else {}


def _said(body: dict[str, Any], name: str) -> str:
    value = body.get(name)
    return value.strip() if isinstance(value, str) else ""
