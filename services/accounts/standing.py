"""Standing tokens: the same secret at every sign-in, for clients that write it down once and for all."""

from __future__ import annotations

import hmac
from collections.abc import Callable

from sqlalchemy import select
from sqlalchemy.orm import Session

from db.models import BearerToken, User
from db.unit_of_work import UnitOfWork
from services.clock import Clock
from services.errors import NotFound
from services.ids import digest, new_id

from .tokens import DAY_S

LIFE_S = 3650 * DAY_S


class StandingTokens:
    """A bearer token of 32 hex letters a user, worked out from the server's key and stored as a digest like any other.

    It changes with the stored password, and ends like other tokens when the user or an administrator sets a new one.
    """

    def __init__(self, uow: UnitOfWork, clock: Clock, *, key: Callable[[], str], purpose: str) -> None:
        """`purpose` tells tokens of different edges apart, and names them in the user's list."""
        self._uow = uow
        self._clock = clock
        self._key = key
        self._purpose = purpose

    def of(self, user_id: str) -> str:
        """The user's token, made at the first call. Raises `NotFound` when the user is gone."""

        def work(session: Session) -> str:
            user = session.scalar(select(User).where(User.id == user_id).with_for_update())
            if user is None:
                raise NotFound("There is no such user.")
            said = f"{self._purpose}\n{user.id}\n{user.password_hash}"
            secret = hmac.digest(self._key().encode(), said.encode(), "sha256").hex()[:32]
            self._keep(session, user_id, secret)
            return secret

        return self._uow.run(work)

    def admit(self, session: Session, user_id: str, secret: str) -> None:
        """Inside the caller's transaction: let a secret that was made elsewhere open this account."""
        self._keep(session, user_id, secret)

    def _keep(self, session: Session, user_id: str, secret: str) -> None:
        now_ms = self._clock.now_ms()
        expires_ms = now_ms + LIFE_S * 1000
        row = session.scalar(select(BearerToken).where(BearerToken.digest == digest(secret)))
        if row is None:
            row = BearerToken(
                id=new_id("k"),
                user_id=user_id,
                digest=digest(secret),
                name=self._purpose,
                origin="standing",
                created_ms=now_ms,
                expires_ms=expires_ms,
                last_used_ms=None,
            )
            session.add(row)
        elif (row.expires_ms or 0) <= now_ms:
            row.expires_ms = expires_ms
        session.flush()
