"""Spark credentials: an app id, a key and a secret with which a user's Spark client signs its addresses."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from db.models import BearerToken, User
from db.unit_of_work import UnitOfWork
from services.cleaning import one_line
from services.clock import Clock
from services.errors import Conflict, InvalidRequest, NotFound
from services.identity import Identity
from services.ids import digest, new_id, new_secret

from .credentials import is_plausible
from .tokens import DAY_S, Tokens

ORIGIN = "spark"
LIFE_S = 3650 * DAY_S
MOST = 20
"""Of one user."""


@dataclass(frozen=True, slots=True)
class SparkKey:
    """A credential as its owner sees it at any time.

    Attributes:
        api_key: Its id; named in every address, so it opens nothing by itself.
    """

    api_key: str
    app_id: str
    name: str
    created_ms: int
    last_used_ms: int | None

    def to_wire(self) -> dict[str, Any]:
        return {
            "api_key": self.api_key,
            "app_id": self.app_id,
            "name": self.name,
            "created_ms": self.created_ms,
            "last_used_ms": self.last_used_ms,
        }


@dataclass(frozen=True, slots=True)
class Holder:
    """Whose key it is, and what their signatures are made with."""

    identity: Identity
    app_id: str
    secret: str = field(repr=False)
    row: BearerToken = field(repr=False)


class SparkKeys:
    """Issues credentials and finds them by their key.

    A signature can be checked only by who has the secret itself, so no digest of it would do. It is worked out from
    the server's key and the credential's id whenever it is needed: a copy of the database signs nothing, there is no
    second key to keep, and a change of the server's key ends all of them, as it ends everything else it signs.

    Each is a row among the user's tokens: it ends with them when a new password is set. The row's digest is of a
    secret that nobody has, so neither half opens anything as a bearer token.
    """

    def __init__(self, uow: UnitOfWork, clock: Clock, tokens: Tokens, *, key: Callable[[], str]) -> None:
        self._uow = uow
        self._clock = clock
        self._tokens = tokens
        self._key = key

    def issue(self, user_id: str, name: str) -> tuple[SparkKey, str]:
        """A new credential and its secret.

        Raises:
            InvalidRequest: No name.
            Conflict: The user has `MOST` already.
        """
        name = one_line(name, 64)
        if not name:
            raise InvalidRequest("A key needs a name.", field="name")

        def work(session: Session) -> SparkKey:
            session.scalar(select(User.id).where(User.id == user_id).with_for_update())
            count = session.scalar(select(func.count()).select_from(BearerToken).where(*self._of(user_id)))
            if (count or 0) >= MOST:
                raise Conflict(f"No more than {MOST} Spark keys; revoke some first.")
            now_ms = self._clock.now_ms()
            row = BearerToken(
                id=new_id("k"),
                user_id=user_id,
                digest=digest(new_secret()),
                name=name,
                origin=ORIGIN,
                created_ms=now_ms,
                expires_ms=now_ms + LIFE_S * 1000,
                last_used_ms=None,
            )
            session.add(row)
            session.flush()
            return _shown(row)

        made = self._uow.run(work)
        return made, self._secret_of(made.api_key)

    def list(self, user_id: str) -> list[SparkKey]:
        """The user's, newest first."""
        statement = select(BearerToken).where(*self._of(user_id))
        with self._uow.read() as session:
            rows = session.scalars(statement.order_by(BearerToken.created_ms.desc(), BearerToken.id.desc()))
            return [_shown(row) for row in rows]

    def revoke(self, user_id: str, api_key: str) -> None:
        """End one of the user's. Raises `NotFound`."""

        def work(session: Session) -> str | None:
            mine = (BearerToken.id == api_key, *self._of(user_id))
            found = session.scalar(select(BearerToken.id).where(*mine))
            session.execute(delete(BearerToken).where(*mine))
            return found

        if not is_plausible(api_key) or self._uow.run(work) is None:
            raise NotFound("There is no such key.")

    def find(self, api_key: str) -> Holder | None:
        """Whose key this is; None for one that was never issued, or is no longer good. One indexed query."""
        if not is_plausible(api_key):
            return None
        statement = (
            select(BearerToken, User.name)
            .join(User, User.id == BearerToken.user_id)
            .where(BearerToken.id == api_key, BearerToken.origin == ORIGIN)
            .where(BearerToken.expires_ms > self._clock.now_ms())
        )
        with self._uow.read() as session:
            found = session.execute(statement).one_or_none()
        if found is None:
            return None
        row, name = found
        identity = Identity(row.user_id, name, False, "token", row.id)
        return Holder(identity, _app_id(row.user_id), self._secret_of(row.id), row)

    def used(self, holder: Holder) -> None:
        """Note that a signature was good, at most once an hour."""
        self._tokens.recognised(holder.row)

    def _secret_of(self, api_key: str) -> str:
        return hmac.digest(self._key().encode(), f"spark key\n{api_key}".encode(), hashlib.sha256).hex()[:32]

    def _of(self, user_id: str) -> tuple[Any, ...]:
        return (
            BearerToken.user_id == user_id,
            BearerToken.origin == ORIGIN,
            BearerToken.expires_ms > self._clock.now_ms(),
        )


def _shown(row: BearerToken) -> SparkKey:
    return SparkKey(row.id, _app_id(row.user_id), row.name, row.created_ms, row.last_used_ms)


def _app_id(user_id: str) -> str:
    """The same for all keys of a user; 8 letters, as the vendor's have."""
    return hashlib.sha256(f"spark app\n{user_id}".encode()).hexdigest()[:8]
