"""Users as an administrator sees and changes them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from sqlalchemy import Select, delete, func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from db.models import Academy, Account, User
from db.unit_of_work import UnitOfWork
from services.accounts.accounts import checked_email
from services.accounts.names import MAX_STORED, checked_name, fold
from services.accounts.passwords import Passwords
from services.accounts.sessions import Sessions
from services.accounts.tokens import Tokens
from services.cleaning import one_line
from services.clock import Clock
from services.errors import Conflict, InvalidRequest, NotFound
from services.ids import new_id
from services.quota.ledger import Kind, Ledger

T = TypeVar("T")

MAX_ACADEMY = 80
SHORTEST_PASSWORD = 1
"""An administrator gives whatever the old server took: its clients know no rule."""


@dataclass(frozen=True, slots=True)
class UserForm:
    """What an administrator writes about a user. `password`: None leaves it as it is."""

    name: str
    password: str | None
    tokens: int
    pictures: int
    email: str = ""
    academy: str = ""


@dataclass(frozen=True, slots=True)
class UserRecord:
    """A registered user as an administrator reads it: nothing that proves to be the user."""

    id: str
    name: str
    email: str
    academy: str
    tokens: int
    pictures: int


class Users:
    """Adds, changes, deletes and lists registered users; guests are not here."""

    def __init__(
        self,
        *,
        uow: UnitOfWork,
        clock: Clock,
        passwords: Passwords,
        tokens: Tokens,
        sessions: Sessions,
        ledger: Ledger,
        end_turns: Callable[[str], None],
    ) -> None:
        """`end_turns` stops everything that runs for a user, and waits until it is stored."""
        self._uow = uow
        self._clock = clock
        self._passwords = passwords
        self._tokens = tokens
        self._sessions = sessions
        self._ledger = ledger
        self._end_turns = end_turns

    def add(self, form: UserForm) -> None:
        """Raises `Conflict` for a name that is taken, and `InvalidRequest`."""
        hashed = self._hashed(form.password or "")
        name, email = checked_name(form.name, longest=MAX_STORED), checked_email(form.email)

        def work(session: Session) -> None:
            now_ms = self._clock.now_ms()
            user = User(
                id=new_id("u"), name=name, name_folded=fold(name), email=email, password_hash=hashed, guest=False,
                created_ms=now_ms,
            )  # fmt: skip
            session.add(user)
            session.flush()
            Ledger(initial_tokens=form.tokens, initial_pictures=form.pictures).open_account(session, user.id, now_ms)
            note_academy(session, user.id, form.academy)

        self._run(work)

    def modify(self, target: str, form: UserForm) -> None:
        """Give a user other values, all at once. Another password ends every session and token of the user.

        Raises:
            NotFound: No such user.
            Conflict: The new name is taken.
            InvalidRequest: A value cannot be.
        """
        hashed = self._hashed(form.password) if form.password is not None else None
        name, email = checked_name(form.name, longest=MAX_STORED), checked_email(form.email)

        def work(session: Session) -> str:
            user = self._user(session, target)
            user.name, user.name_folded, user.email = name, fold(name), email
            if hashed is not None:
                user.password_hash = hashed
                self._tokens.end_all(session, user.id)
                self._sessions.end_all(session, user.id)
            note_academy(session, user.id, form.academy)
            self._set_quota(session, user.id, "tokens", form.tokens)
            self._set_quota(session, user.id, "pictures", form.pictures)
            return user.id

        self._forget(self._run(work))

    def delete(self, target: str) -> None:
        """Delete a user with everything of the user's; what runs is stopped first. Raises `NotFound`."""
        with self._uow.read() as session:
            user_id = self._user(session, target).id
        self._end_turns(user_id)
        self._uow.run(lambda session: session.execute(delete(User).where(User.id == user_id)))
        self._forget(user_id)

    def count(self) -> int:
        with self._uow.read() as session:
            return session.scalar(select(func.count()).select_from(User).where(~User.guest)) or 0

    def page(self, start: int, count: int) -> Sequence[UserRecord]:
        """As they registered."""
        with self._uow.read() as session:
            rows = session.execute(_records().order_by(User.created_ms, User.id).offset(start).limit(count)).all()
            return [_record(*row) for row in rows]

    def named(self, name: str) -> UserRecord:
        """Raises `NotFound`."""
        with self._uow.read() as session:
            row = session.execute(_records().where(User.name_folded == fold(name[:200]))).one_or_none()
        if row is None:
            raise _unknown()
        return _record(*row)

    def academy_of(self, user_id: str) -> str:
        """Empty when none was told."""
        with self._uow.read() as session:
            return session.scalar(select(Academy.name).where(Academy.user_id == user_id)) or ""

    def note_academy(self, user_id: str, academy: str) -> None:
        """Keep what a user says at registration."""
        if academy.strip():
            self._uow.run(lambda session: note_academy(session, user_id, academy))

    def _user(self, session: Session, name: str) -> User:
        user = session.scalar(select(User).where(User.name_folded == fold(name[:200])).with_for_update())
        if user is None:
            raise _unknown()
        return user

    def _hashed(self, password: str) -> str:
        return self._passwords.hash(self._passwords.check_form(password, shortest=SHORTEST_PASSWORD))

    def _set_quota(self, session: Session, user_id: str, kind: Kind, amount: int) -> None:
        """What running turns have set aside is not in it, and comes back on top when they need less."""
        quota = self._ledger.balance(session, user_id)
        more = amount - (quota.tokens if kind == "tokens" else quota.pictures)
        change = self._ledger.grant if more > 0 else self._ledger.withdraw
        if more:
            change(session, user_id=user_id, kind=kind, amount=abs(more), now_ms=self._clock.now_ms(), note="admin")

    def _run(self, work: Callable[[Session], T]) -> T:
        try:
            return self._uow.run(work)
        except IntegrityError as error:
            raise Conflict("This user name is taken.", field="username") from error

    def _forget(self, user_id: str) -> None:
        self._tokens.forget(user_id=user_id)
        self._sessions.forget(user_id=user_id)


def note_academy(session: Session, user_id: str, academy: str) -> None:
    """Store it, or forget it when it is empty. Raises `InvalidRequest` when it is too long."""
    name = one_line(academy, MAX_ACADEMY + 1)
    if len(name) > MAX_ACADEMY:
        raise InvalidRequest(f"An academy has at most {MAX_ACADEMY} characters.", field="academy")
    row = session.get(Academy, user_id)
    if row is not None and not name:
        session.delete(row)
    elif row is not None:
        row.name = name
    elif name:
        session.add(Academy(user_id=user_id, name=name))


def _records() -> Select[Any, Any, Any, Any]:
    return (
        select(User, Academy.name, Account.tokens_available, Account.pictures_available)
        .join(Account, Account.user_id == User.id)
        .outerjoin(Academy, Academy.user_id == User.id)
        .where(~User.guest)
    )


def _record(user: User, academy: str | None, tokens: int, pictures: int) -> UserRecord:
    return UserRecord(user.id, user.name, user.email or "", academy or "", tokens, pictures)


def _unknown() -> NotFound:
    return NotFound("There is no such user.", field="username")
