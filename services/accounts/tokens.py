"""Bearer tokens: named, hashed at rest, expiring, revocable one by one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from sqlalchemy import delete, func, select, update
from sqlalchemy.orm import Session

from db.errors import DatabaseBusy
from db.models import BearerToken
from db.unit_of_work import UnitOfWork
from services.cleaning import one_line
from services.clock import Clock
from services.errors import Conflict, InvalidRequest, NotFound
from services.ids import digest, new_id, new_secret

from .credentials import Credentials

DAY_S = 86_400
DEFAULT_LIFE_S = 365 * DAY_S
MIN_LIFE_S, MAX_LIFE_S = 60, 3650 * DAY_S
MAX_NAMED = 100
"""Tokens a user may have asked for by name."""
MAX_SIGN_INS = 50
"""Sign-ins remembered; the oldest ends when there is one more."""
_HOUR_MS = 3_600_000

Origin = Literal["user", "sign_in", "guest"]


@dataclass(frozen=True, slots=True)
class TokenRecord:
    """A token as its owner sees it: never the secret."""

    id: str
    name: str
    created_ms: int
    expires_ms: int | None
    last_used_ms: int | None

    @classmethod
    def of(cls, row: BearerToken) -> TokenRecord:
        return cls(row.id, row.name, row.created_ms, row.expires_ms, row.last_used_ms)

    def to_wire(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "name": self.name,
            "created_ms": self.created_ms,
            "expires_ms": self.expires_ms,
            "last_used_ms": self.last_used_ms,
        }


class IssuedToken(NamedTuple):
    """A new token and, this once, its secret."""

    record: TokenRecord
    secret: str


class Tokens(Credentials[BearerToken]):
    """Issues tokens and recognises them."""

    def __init__(self, uow: UnitOfWork, clock: Clock) -> None:
        super().__init__(uow, clock, BearerToken, "token")

    def issue(self, user_id: str, name: str, *, expires_in_s: int | None = None) -> IssuedToken:
        """A token for an app.

        Args:
            expires_in_s: `MIN_LIFE_S` to `MAX_LIFE_S`; None for a year.

        Raises:
            InvalidRequest: No name, or a life out of bounds.
            Conflict: The user has `MAX_NAMED` already.
        """
        name = one_line(name, 64)
        if not name:
            raise InvalidRequest("A token needs a name.", field="name")
        life_s = DEFAULT_LIFE_S if expires_in_s is None else expires_in_s
        if not MIN_LIFE_S <= life_s <= MAX_LIFE_S:
            raise InvalidRequest(f"expires_in_s must be from {MIN_LIFE_S} to {MAX_LIFE_S}.", field="expires_in_s")

        def work(session: Session) -> IssuedToken:
            named = (BearerToken.user_id == user_id, BearerToken.origin == "user", self._unexpired())
            count = session.scalar(select(func.count()).select_from(BearerToken).where(*named))
            if (count or 0) >= MAX_NAMED:
                raise Conflict(f"No more than {MAX_NAMED} tokens; revoke some first.")
            return self.add(session, user_id, name=name, origin="user", life_s=life_s)

        return self._uow.run(work)

    def add(self, session: Session, user_id: str, *, name: str, origin: Origin, life_s: int) -> IssuedToken:
        """A token, inside the caller's transaction. A sign-in too many ends the oldest one."""
        if origin == "sign_in":
            self.trim(session, user_id, BearerToken.origin == origin, keep=MAX_SIGN_INS - 1)
        secret = f"parley_{new_secret()}"
        now_ms = self._clock.now_ms()
        row = BearerToken(
            id=new_id("k"),
            user_id=user_id,
            digest=digest(secret),
            name=name,
            origin=origin,
            created_ms=now_ms,
            expires_ms=now_ms + life_s * 1000,
            last_used_ms=None,
        )
        session.add(row)
        session.flush()
        return IssuedToken(TokenRecord.of(row), secret)

    def list(self, user_id: str) -> list[TokenRecord]:
        """The user's valid tokens, newest first; sign-ins are among them."""
        statement = select(BearerToken).where(BearerToken.user_id == user_id, self._unexpired())
        with self._uow.read() as session:
            rows = session.scalars(statement.order_by(BearerToken.created_ms.desc(), BearerToken.id.desc()))
            return [TokenRecord.of(row) for row in rows]

    def revoke(self, user_id: str, token_id: str) -> None:
        """End one of the user's tokens. Raises `NotFound`."""

        def work(session: Session) -> str | None:
            mine = (BearerToken.id == token_id, BearerToken.user_id == user_id)
            found = session.scalar(select(BearerToken.id).where(*mine))
            session.execute(delete(BearerToken).where(*mine))
            return found

        if self._uow.run(work) is None:
            raise NotFound("There is no such token.")
        self.forget(credential_id=token_id)

    def recognised(self, row: BearerToken) -> None:
        """Note the use, at most once an hour."""
        now_ms = self._clock.now_ms()
        if row.last_used_ms is not None and now_ms - row.last_used_ms < _HOUR_MS:
            return
        try:
            with self._uow() as session:
                session.execute(update(BearerToken).where(BearerToken.id == row.id).values(last_used_ms=now_ms))
        except DatabaseBusy:
            pass  # a note nobody waits for; the next look-up writes it
