"""Guests for programs that bring no key: one an address, so that a loop of calls is not a loop of new accounts."""

from __future__ import annotations

import hmac
from collections.abc import Callable
from contextlib import suppress

from sqlalchemy.exc import IntegrityError

from db.unit_of_work import UnitOfWork
from services.identity import Identity

from .standing import StandingTokens
from .tokens import Tokens


class KeylessGuests:
    """The same guest on every worker, and after a restart: a token worked out from the server's key leads to it.

    Nobody is given that token, so nobody can come back as it and read what another program asked.
    """

    def __init__(self, *, uow: UnitOfWork, tokens: Tokens, standing: StandingTokens, key: Callable[[], str]) -> None:
        self._uow = uow
        self._tokens = tokens
        self._standing = standing
        self._key = key

    def at(self, address: str, new_guest: Callable[[str], tuple[Identity, str]]) -> Identity:
        """The guest of this address; `new_guest` makes it when there is none yet, and may refuse to."""
        secret = hmac.digest(self._key().encode(), f"keyless guest\n{address}".encode(), "sha256").hex()
        if (known := self._tokens.identify(secret)) is not None:
            return known
        guest, _ = new_guest(address)
        with suppress(IntegrityError):  # another worker was quicker: its guest it is
            self._uow.run(lambda session: self._standing.admit(session, guest.user_id, secret))
        return self._tokens.identify(secret) or guest
