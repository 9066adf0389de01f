"""Who a request or a connection is: the one place where every edge asks."""

from __future__ import annotations

from collections.abc import Callable

from services.accounts.accounts import Accounts
from services.accounts.keyless import KeylessGuests
from services.accounts.sessions import Sessions
from services.accounts.tokens import Tokens
from services.errors import RateLimited, Unauthenticated
from services.identity import Identity


class Doorkeeper:
    """Turns credentials into identities and makes guests where they are allowed."""

    def __init__(
        self,
        *,
        accounts: Accounts,
        tokens: Tokens,
        sessions: Sessions,
        keyless: KeylessGuests,
        guests_allowed: bool,
        guest_wait_s: Callable[[str], float] | None,
    ) -> None:
        """`guest_wait_s` takes one more guest of an address, or says how long it must wait; None for no limit."""
        self.guests_allowed = guests_allowed
        self._accounts = accounts
        self._tokens = tokens
        self._sessions = sessions
        self._keyless = keyless
        self._guest_wait_s = guest_wait_s

    def by_token(self, token: str) -> Identity:
        """Who holds this bearer token.

        Raises:
            Unauthenticated: Nobody (any more).
        """
        if (identity := self._tokens.identify(token)) is None:
            raise Unauthenticated("This token is not valid, or no longer; sign in again.", field="token")
        return identity

    def by_session(self, cookie: str) -> Identity | None:
        """Whose browser this is; None when the session has ended."""
        return self._sessions.identify(cookie)

    def new_guest(self, address: str) -> tuple[Identity, str]:
        """A fresh guest and the token to come back with.

        Raises:
            Unauthenticated: Guests are not allowed here.
            RateLimited: Too many guests from this address.
        """
        self._check_guests()
        if self._guest_wait_s is not None and (wait_s := self._guest_wait_s(address)) > 0:
            raise RateLimited("Too many guests from this address.", retry_after_s=wait_s)
        return self._accounts.create_guest()

    def guest_of(self, address: str) -> Identity:
        """The one guest of an address, for who brings no credential at all. Raises as `new_guest` does."""
        self._check_guests()
        return self._keyless.at(address, self.new_guest)

    def _check_guests(self) -> None:
        if not self.guests_allowed:
            raise Unauthenticated("Sign in first: this server does not take guests.")

    def still_valid(self, identities: list[Identity]) -> set[Identity]:
        """Those whose credential has not been revoked and has not expired."""
        tokens = [identity for identity in identities if identity.credential == "token"]
        sessions = [identity for identity in identities if identity.credential == "session"]
        return self._tokens.still_valid(tokens) | self._sessions.still_valid(sessions)
