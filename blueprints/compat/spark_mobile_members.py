"""Who asks spark-mobile: `uuid` and `username` together are the credential."""

from __future__ import annotations

import flask
from flask import request

from blueprints.compat.spark_mobile_wire import Coded
from services.accounts.names import fold
from services.accounts.standing import StandingTokens
from services.assembly import Services
from services.identity import Identity
from services.instance import kept_secret

PURPOSE = "spark-mobile"
GUESSES_PER_MINUTE, GUESSES_AT_ONCE = 30, 60
"""Wrong pairs of one address."""


class Members:
    """Recognises pairs, and gives a user the `uuid` half of one."""

    def __init__(self, services: Services) -> None:
        server = services.settings.server
        self._tokens = services.tokens
        self._standing = StandingTokens(
            services.uow,
            services.clock,
            key=lambda: server.secret_key or kept_secret(server.data_dir),
            purpose=PURPOSE,
        )
        self._guesses = services.sharing.rate_limit(
            "spark-mobile guesses", per_minute=GUESSES_PER_MINUTE, burst=GUESSES_AT_ONCE
        )

    def uuid_of(self, identity: Identity) -> str:
        """32 hex letters, the same at every sign-in with the same password."""
        return self._standing.of(identity.user_id)

    def known(self, uuid: object, username: object) -> Identity:
        """The user of a pair.

        Raises:
            Coded: `USER_NOT_FOUND`, for a wrong pair and for an address that has tried too many.
        """
        identity = self._tokens.identify(uuid) if isinstance(uuid, str) else None
        if identity is None or not isinstance(username, str) or fold(username[:200]) != fold(identity.name):
            self.count_guess("USER_NOT_FOUND")
            raise Coded("USER_NOT_FOUND", "用户不存在，请重新登录。")
        flask.g.user = identity.user_id
        return identity

    def by_uuid(self, uuid: object) -> Identity:
        """The user of a `uuid` alone, where the clients send no name. Raises as `known` does."""
        identity = self._tokens.identify(uuid) if isinstance(uuid, str) else None
        return self.known(uuid, identity.name if identity is not None else None)

    def count_guess(self, code: str) -> None:
        """Count something this address did not know. Raises `Coded` once there were too many."""
        if self._guesses is not None and self._guesses.take(request.remote_addr or "") > 0:
            raise Coded(code, "操作太频繁，请稍候再试。")


def from_header(name: str) -> str:
    """A header's text: UTF-8 where it is that, Latin-1 otherwise, as some clients send it."""
    raw = request.headers.get(name, "").encode("latin-1", "replace")
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw.decode("latin-1")
