"""Adds users of older servers, each in a transaction of its own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from db.models import User
from db.unit_of_work import UnitOfWork
from services.accounts.accounts import checked_email
from services.accounts.names import MAX_STORED, checked_name, fold
from services.clock import Clock
from services.errors import ChatError, InvalidRequest
from services.ids import new_id
from services.quota.ledger import Ledger

from . import traces
from .traces import Report


@dataclass(frozen=True, slots=True)
class Person:
    """A user of an older server.

    Attributes:
        password_hash: As it is stored here, worked out only when it is needed; None for one that cannot be checked:
            the user then needs a reset ticket.
        afterwards: What else belongs to the user, done in the same transaction.
    """

    old_id: str
    name: str
    email: str
    password_hash: Callable[[], str | None]
    ledger: Ledger
    afterwards: Callable[[Session, str], None] | None = None


class People:
    """Adds persons. A name that is taken here is somebody else's, unless the operator says otherwise."""

    def __init__(self, uow: UnitOfWork, clock: Clock, source: str, *, merge: bool) -> None:
        """With `merge` a person of a name that is taken here is that user; quota and password stay as they are."""
        self._uow = uow
        self._clock = clock
        self._source = f"{source} user"
        self._merge = merge

    def add(self, person: Person, report: Report) -> str | None:
        """Our id of the person; None when there can be none, which the report then tells."""
        with self._uow.read() as session:
            if (before := traces.known(session, self._source, person.old_id)) is not None:
                report.known += 1
                return before
        try:
            name = checked_name(person.name, longest=MAX_STORED)
        except ChatError as error:
            report.skipped.append(f"user {person.old_id}: {error.message}")
            return None
        with self._uow.read() as session:
            taken_by = session.scalar(select(User.id).where(User.name_folded == fold(name)))
        if taken_by is not None and not self._merge:
            report.skipped.append(f"user {person.old_id}: the name is taken here.")
            return None
        password_hash = person.password_hash() if taken_by is None else None

        def work(session: Session) -> str:
            user_id = taken_by or self._new(session, person, name, password_hash)
            traces.note(session, self._source, person.old_id, user_id)
            if taken_by is None and person.afterwards is not None:
                person.afterwards(session, user_id)
            return user_id

        user_id = self._uow.run(work)
        report.added += 1
        return user_id

    def _new(self, session: Session, person: Person, name: str, password_hash: str | None) -> str:
        now_ms = self._clock.now_ms()
        user = User(
            id=new_id("u"),
            name=name,
            name_folded=fold(name),
            email=_email(person.email),
            password_hash=password_hash,
            guest=False,
            created_ms=now_ms,
        )
        session.add(user)
        session.flush()
        person.ledger.open_account(session, user.id, now_ms)
        return user.id


def _email(written: str) -> str | None:
    """The old servers kept anything; what cannot be an address is dropped."""
    try:
        return checked_email(written)
    except InvalidRequest:
        return None
