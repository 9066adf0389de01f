"""What users of cloud-chat gave besides a mail address: a phone, by which they sign in too, and a name to show."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from db.models import Contact, User
from db.unit_of_work import UnitOfWork
from services.errors import Conflict, NotFound


@dataclass(frozen=True, slots=True)
class ContactRecord:
    """A user as that backend tells it."""

    number: int
    email: str
    phone: str | None
    display_name: str


class Contacts:
    """Keeps them."""

    def __init__(self, uow: UnitOfWork) -> None:
        self._uow = uow

    def name_of(self, identifier: str) -> str:
        """The user name that an identifier means: a phone's owner's, else the identifier itself."""
        with self._uow.read() as session:
            found = session.scalar(
                select(User.name).join(Contact, Contact.user_id == User.id).where(Contact.phone == identifier)
            )
        return found or identifier

    def is_taken(self, phone: str) -> bool:
        """Whether somebody has this phone."""
        with self._uow.read() as session:
            return session.scalar(select(Contact.number).where(Contact.phone == phone)) is not None

    def email_of(self, user_id: str) -> str | None:
        """What the user gave, if anything."""
        with self._uow.read() as session:
            return session.scalar(select(User.email).where(User.id == user_id))

    def add(self, user_id: str, *, phone: str | None, display_name: str) -> None:
        """Raises `Conflict` when somebody has this phone, or the user a record."""

        def work(session: Session) -> None:
            session.add(Contact(user_id=user_id, phone=phone, display_name=display_name))
            session.flush()

        try:
            self._uow.run(work)
        except IntegrityError as error:
            raise Conflict("Phone already registered", field="phone") from error

    def of(self, user_id: str) -> ContactRecord:
        """A user's record; one is made for a user who has none.

        Raises:
            NotFound: No such user.
        """

        def work(session: Session) -> ContactRecord:
            user = session.scalar(select(User).where(User.id == user_id).with_for_update())
            if user is None:
                raise NotFound("There is no such user.")
            row = session.scalar(select(Contact).where(Contact.user_id == user_id))
            if row is None:
                row = Contact(user_id=user_id, phone=None, display_name=user.name)
                session.add(row)
                session.flush()
            return ContactRecord(row.number, user.email or "", row.phone, row.display_name)

        return self._uow.run(work)
