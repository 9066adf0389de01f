"""Who asks a backend that knows nobody: whoever this server knows already, else a guest."""

from __future__ import annotations

from typing import NamedTuple

import flask
from flask import request

from blueprints.identity import Callers
from services.assembly import Services
from services.errors import RateLimited
from services.identity import Identity

ASKS_PER_MINUTE, ASKS_AT_ONCE = 300, 60
"""Of one address over all its sessions."""


class Visit(NamedTuple):
    """A guest of one browser session.

    Attributes:
        secret: What the browser keeps to be this guest again; the cookie that carries it is the backend's own.
    """

    identity: Identity
    secret: str


class Visitors:
    """Identities for one backend. Its clients keep working for people this server knows: a bearer token or, from a
    page this server trusts, its own session cookie makes a caller the same user here as on Socket.IO."""

    def __init__(self, services: Services, callers: Callers, backend: str) -> None:
        """`backend` is its name, as `COMPAT` has it."""
        self._services = services
        self._callers = callers
        self._asks = services.sharing.rate_limit(f"{backend} visits", per_minute=ASKS_PER_MINUTE, burst=ASKS_AT_ONCE)

    def admit(self) -> None:
        """Count one question of this address.

        Raises:
            RateLimited: Too many.
        """
        if self._asks is not None and (wait_s := self._asks.take(request.remote_addr or "")) > 0:
            raise RateLimited("Too many questions from this address.", retry_after_s=round(wait_s, 1))

    def known(self) -> Identity | None:
        """The caller, when it brings a credential of this server's.

        Raises:
            Unauthenticated: A bearer token that is not valid.
        """
        if "Authorization" in request.headers or self._callers.from_trusted_page():
            return self._callers.known()
        return None

    def of_address(self) -> Identity:
        """The caller, else the guest of its address: for clients that keep no cookie.

        Raises:
            Unauthenticated: A token that is not valid, or guests are not allowed here.
            RateLimited: Too many guests from there.
        """
        return self.known() or self._callers.guest_of_address()

    def returning(self, secret: str) -> Visit | None:
        """The guest who was given `secret`; None when that has ended."""
        identity = self._services.sessions.identify(secret)
        if identity is None:
            return None
        flask.g.user = identity.user_id
        return Visit(identity, secret)

    def newcomer(self) -> Visit:
        """A new guest with a session of its own. Ask only once there is something to keep.

        Raises:
            Unauthenticated: Guests are not allowed here.
            RateLimited: Too many guests from this address.
        """
        guest, _ = self._services.doorkeeper.new_guest(request.remote_addr or "")
        visit = self.returning(self._services.sessions.start(guest.user_id))
        assert visit is not None  # it has just begun
        return visit
