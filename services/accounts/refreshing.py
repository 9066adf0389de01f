"""Pairs of tokens: one that opens for an hour, and one that does nothing but fetch the next pair, once."""

from __future__ import annotations

from typing import NamedTuple

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from db.models import BearerToken, User
from db.unit_of_work import UnitOfWork
from services.clock import Clock
from services.errors import Unauthenticated
from services.identity import Identity
from services.ids import digest, new_id, new_secret

from .credentials import is_plausible
from .tokens import DAY_S, MAX_SIGN_INS, Tokens

ORIGIN = "refresh"
ACCESS_LIFE_S = 3_600
REFRESH_LIFE_S = 30 * DAY_S


class Pair(NamedTuple):
    """What a client is given. `access` is a bearer token like any other; `refresh` is none."""

    identity: Identity
    access: str
    refresh: str


class RefreshTokens:
    """Issues pairs. They end with the user's other tokens."""

    def __init__(self, uow: UnitOfWork, clock: Clock, tokens: Tokens) -> None:
        self._uow = uow
        self._clock = clock
        self._tokens = tokens

    def issue(self, identity: Identity) -> Pair:
        """A pair for somebody who has just signed in; the token of that sign-in ends."""
        self._tokens.end(identity)
        return self._uow.run(lambda session: self._pair(session, identity.user_id, identity.name))

    def renew(self, refresh: str) -> Pair:
        """The next pair. Of parallel calls with one token exactly one succeeds.

        Raises:
            Unauthenticated: It is not one of ours, was used, or is too old.
        """

        def work(session: Session) -> Pair | None:
            mine = (BearerToken.digest == _digest(refresh), BearerToken.origin == ORIGIN)
            found = session.execute(
                select(BearerToken.user_id, User.name)
                .join(User, User.id == BearerToken.user_id)
                .where(*mine, BearerToken.expires_ms > self._clock.now_ms())
                .with_for_update()
            ).one_or_none()
            session.execute(delete(BearerToken).where(*mine))
            return self._pair(session, *found) if found is not None else None

        if not is_plausible(refresh) or (pair := self._uow.run(work)) is None:
            raise Unauthenticated("This token is not valid, or no longer; sign in again.", field="refreshToken")
        return pair

    def _pair(self, session: Session, user_id: str, name: str) -> Pair:
        issued = self._tokens.add(session, user_id, name="Sign-in", origin="sign_in", life_s=ACCESS_LIFE_S)
        self._tokens.trim(session, user_id, BearerToken.origin == ORIGIN, keep=MAX_SIGN_INS - 1)
        refresh, now_ms = new_secret(), self._clock.now_ms()
        row = BearerToken(
            id=new_id("k"),
            user_id=user_id,
            digest=_digest(refresh),
            name="Refresh",
            origin=ORIGIN,
            created_ms=now_ms,
            expires_ms=now_ms + REFRESH_LIFE_S * 1000,
            last_used_ms=None,
        )
        session.add(row)
        session.flush()
        return Pair(Identity(user_id, name, False, "token", issued.record.id), issued.secret, refresh)


def _digest(refresh: str) -> str:
    """Of what no bearer token can be, since those are ASCII: it opens nothing by itself."""
    return digest(f"refresh·{refresh}")
