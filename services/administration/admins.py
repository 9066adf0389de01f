"""Administrators: who may use the admin area, and who may do everything there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hmac import compare_digest

from sqlalchemy import delete, func, select
from sqlalchemy.exc import IntegrityError

from db.models import Administrator
from db.unit_of_work import UnitOfWork
from services.accounts.names import MAX_STORED, checked_name
from services.accounts.passwords import Passwords
from services.accounts.throttle import LoginThrottle
from services.clock import Clock
from services.errors import Conflict, InvalidRequest, NotFound, Unauthenticated
from services.ids import digest, new_id


@dataclass(frozen=True, slots=True)
class Admin:
    """An administrator.

    Attributes:
        chief: May add, change and remove administrators, and delete coupons.
        stamp: Changes with the password: what was issued before is no longer good.
    """

    id: str
    name: str
    chief: bool
    stamp: str


class Admins:
    """Knows the administrators: the chief, whom the settings name, and those the chief has added."""

    def __init__(
        self,
        *,
        uow: UnitOfWork,
        clock: Clock,
        passwords: Passwords,
        throttle: LoginThrottle | None,
        chief_name: str,
        chief_password: str,
    ) -> None:
        self._uow = uow
        self._clock = clock
        self._passwords = passwords
        self._throttle = throttle
        self._chief = Admin("chief", chief_name, True, _stamp(chief_password))
        self._chief_password = chief_password

    def login(self, name: str, password: str, *, address: str = "") -> Admin:
        """Raises `Unauthenticated`, and `RateLimited` after too many failures."""
        name = name.strip()[:MAX_STORED]
        if self._throttle is not None:
            self._throttle.begin(f"administrator {name}", address)
        if name == self._chief.name:
            admin: Admin | None = self._chief
            fits = compare_digest(password.encode(), self._chief_password.encode())
        else:
            row = self._row(name)
            admin = _admin(row) if row is not None else None
            fits = self._passwords.verify(row.password_hash if row is not None else None, password[:256])
        if admin is None or not fits:
            raise Unauthenticated("The name and the password do not fit together.")
        if self._throttle is not None:
            self._throttle.succeed(f"administrator {name}", address)
        return admin

    def still(self, name: str, stamp: str) -> Admin | None:
        """The administrator a token was issued to, unless removed or given another password since."""
        if name == self._chief.name:
            admin: Admin | None = self._chief
        else:
            row = self._row(name)
            admin = _admin(row) if row is not None else None
        return admin if admin is not None and compare_digest(admin.stamp, stamp) else None

    def add(self, name: str, password: str) -> None:
        """Raises `Conflict` for a name that is taken, and `InvalidRequest`."""
        name = self._free_name(name)
        hashed = self._passwords.hash(self._passwords.check_form(password))
        row = Administrator(id=new_id("a"), name=name, password_hash=hashed, created_ms=self._clock.now_ms())
        try:
            self._uow.run(lambda session: session.merge(row))
        except IntegrityError as error:
            raise _taken() from error

    def modify(self, target: str, *, name: str | None = None, password: str | None = None) -> None:
        """Rename, or give another password. Raises `NotFound`, `Conflict` and `InvalidRequest`."""
        name = self._free_name(name) if name is not None and name.strip() != target else None
        hashed = self._passwords.hash(self._passwords.check_form(password)) if password is not None else None
        try:
            with self._uow() as session:
                row = session.scalar(select(Administrator).where(Administrator.name == target).with_for_update())
                if row is None:
                    raise NotFound("There is no such administrator.")
                row.name = name or row.name
                row.password_hash = hashed or row.password_hash
        except IntegrityError as error:
            raise _taken() from error

    def delete(self, target: str) -> None:
        """Raises `NotFound`; the chief is the settings' and cannot be removed."""
        with self._uow() as session:
            found = session.scalar(select(Administrator.id).where(Administrator.name == target))
            if found is None:
                raise NotFound("There is no such administrator.")
            session.execute(delete(Administrator).where(Administrator.id == found))

    def count(self) -> int:
        with self._uow.read() as session:
            return 1 + (session.scalar(select(func.count()).select_from(Administrator)) or 0)

    def page(self, start: int, count: int) -> Sequence[Admin]:
        """The chief, then the others as they were added."""
        before = [self._chief][start : start + count]
        with self._uow.read() as session:
            rows = session.scalars(
                select(Administrator)
                .order_by(Administrator.created_ms, Administrator.id)
                .offset(max(start - 1, 0))
                .limit(count - len(before))
            )
            return [*before, *map(_admin, rows)]

    def named(self, name: str) -> Admin:
        """Raises `NotFound`."""
        row = self._row(name)
        if name == self._chief.name:
            return self._chief
        if row is None:
            raise NotFound("There is no such administrator.")
        return _admin(row)

    def _row(self, name: str) -> Administrator | None:
        with self._uow.read() as session:
            return session.scalar(select(Administrator).where(Administrator.name == name))

    def _free_name(self, written: str) -> str:
        name = checked_name(written, longest=MAX_STORED)
        if name == self._chief.name:
            raise _taken()
        return name


def checked_chief(name: str, password: str) -> str:
    """What is wrong with the chief's name and password; empty when nothing is."""
    try:
        checked_name(name, longest=MAX_STORED)
    except InvalidRequest as error:
        return error.message
    return "" if len(password) >= 12 else "The password must have at least 12 characters."


def _admin(row: Administrator) -> Admin:
    return Admin(row.id, row.name, False, _stamp(row.password_hash))


def _stamp(secret: str) -> str:
    return digest(secret)[:16]


def _taken() -> Conflict:
    return Conflict("This administrator's name is taken.", field="username")
