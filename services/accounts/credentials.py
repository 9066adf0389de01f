"""What tokens and browser sessions have in common: recognised by digest, soon forgotten once revoked."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable
from typing import Any, Generic, Literal, TypeVar, cast

from sqlalchemy import ColumnElement, CursorResult, delete, or_, select
from sqlalchemy.orm import Session

from db.models import BearerToken, BrowserSession, User
from db.unit_of_work import UnitOfWork
from services.clock import Clock
from services.identity import Identity
from services.ids import digest

Row = TypeVar("Row", BearerToken, BrowserSession)

CACHE_S = 30.0
"""How long a credential revoked by another process may still be taken here, where that process cannot tell us."""
_MAX_CACHED = 20_000
_MAX_SECRET = 256
_BATCH = 500


class Credentials(Generic[Row]):
    """Recognises the secrets of one table. Shared by every greenlet; the cache is only touched without yielding."""

    def __init__(
        self, uow: UnitOfWork, clock: Clock, table: type[Row], credential: Literal["token", "session"]
    ) -> None:
        self._uow = uow
        self._clock = clock
        self._table: type[Row] = table
        self.kind = credential
        self._cache: OrderedDict[str, tuple[Identity, float, int | None]] = OrderedDict()
        self._revocations = 0
        self._posts: list[Callable[[dict[str, Any]], None]] = []

    def identify(self, secret: str) -> Identity | None:
        """Who holds this secret; None for a wrong, expired or revoked one. One indexed query, or none."""
        if not is_plausible(secret):
            return None
        key = digest(secret)
        if (cached := self._cached(key)) is not None:
            return cached
        revocations = self._revocations
        with self._uow.read() as session:
            found = session.execute(
                select(self._table, User.name, User.guest)
                .join(User, User.id == self._table.user_id)
                .where(self._table.digest == key, self._unexpired())
            ).one_or_none()
        if found is None:
            return None
        row, name, guest = found
        identity = Identity(row.user_id, name, guest, self.kind, row.id)
        if revocations == self._revocations:  # else it may have been revoked since the query
            self._remember(key, identity, row.expires_ms)
        self.recognised(row)
        return identity

    def still_valid(self, identities: Iterable[Identity]) -> set[Identity]:
        """Those whose credential is neither revoked nor expired; asks the database, never the cache."""
        asked = [one for one in identities if one.credential == self.kind]
        ids = list({one.credential_id for one in asked})
        valid: set[str] = set()
        for start in range(0, len(ids), _BATCH):
            batch = self._table.id.in_(ids[start : start + _BATCH])
            with self._uow.read() as session:
                valid.update(session.scalars(select(self._table.id).where(batch, self._unexpired())))
        return {one for one in asked if one.credential_id in valid}

    def is_valid(self, identity: Identity) -> bool:
        """`still_valid` of one."""
        return bool(self.still_valid([identity]))

    def forget(
        self, *, user_id: str | None = None, credential_id: str | None = None, digest: str | None = None
    ) -> None:
        """Drop what is cached of a user, a credential or a secret, after it changed; here, and on other workers."""
        self._drop(user_id, credential_id, digest)
        for post in self._posts:
            post({"user_id": user_id, "credential_id": credential_id, "digest": digest})

    def tell_others(self, post: Callable[[dict[str, Any]], None]) -> None:
        """Have other workers told what to forget; they pass it to their `hear`. `post` must not wait."""
        self._posts.append(post)

    def hear(self, said: dict[str, Any]) -> None:
        """Forget what another worker says was revoked: at worst it is looked up once more. Never yields."""
        self._drop(said.get("user_id"), said.get("credential_id"), said.get("digest"))

    def _drop(self, user_id: str | None, credential_id: str | None, digest: str | None) -> None:
        self._revocations += 1
        gone = [
            key
            for key, (identity, _, _) in self._cache.items()
            if key == digest or identity.user_id == user_id or identity.credential_id == credential_id
        ]
        for key in gone:
            del self._cache[key]

    def recognised(self, row: Row) -> None:
        """A hook for what is noted when a secret was looked up."""

    def trim(self, session: Session, user_id: str, *only: ColumnElement[bool], keep: int) -> None:
        """Inside the caller's transaction: end what has expired, then the oldest of the user's beyond `keep`."""
        mine = (self._table.user_id == user_id, *only)
        session.execute(delete(self._table).where(*mine, ~self._unexpired()))
        newest_first = (self._table.created_ms.desc(), self._table.id.desc())
        surplus = select(self._table.id).where(*mine).order_by(*newest_first).offset(keep)
        for row_id in session.scalars(surplus).all():
            session.execute(delete(self._table).where(self._table.id == row_id))
            self.forget(credential_id=row_id)

    def end_all(self, session: Session, user_id: str, *, but: str | None = None) -> int:
        """Inside the caller's transaction: end all of the user's, `but` one id; how many. Then `forget` the user."""
        mine = (self._table.user_id == user_id, self._table.id != (but or ""))
        return cast("CursorResult[Any]", session.execute(delete(self._table).where(*mine))).rowcount

    def end(self, identity: Identity) -> None:
        """End the credential this identity came with; nothing happens when it has ended."""
        mine = self._table.id == identity.credential_id
        self._uow.run(lambda session: session.execute(delete(self._table).where(mine)))
        self.forget(credential_id=identity.credential_id)

    def _unexpired(self) -> ColumnElement[bool]:
        expires = self._table.expires_ms
        return or_(expires.is_(None), expires > self._clock.now_ms())

    def _cached(self, key: str) -> Identity | None:
        entry = self._cache.get(key)
        if entry is None:
            return None
        identity, until, expires_ms = entry
        if self._clock.monotonic() < until and (expires_ms is None or self._clock.now_ms() < expires_ms):
            self._cache.move_to_end(key)
            return identity
        del self._cache[key]
        return None

    def _remember(self, key: str, identity: Identity, expires_ms: int | None) -> None:
        self._cache[key] = (identity, self._clock.monotonic() + CACHE_S, expires_ms)
        if len(self._cache) > _MAX_CACHED:
            self._cache.popitem(last=False)


def is_plausible(secret: str) -> bool:
    """Whether a secret of ours could look like this; what comes from outside may be anything."""
    return 0 < len(secret) <= _MAX_SECRET and secret.isascii()
