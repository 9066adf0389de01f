"""Coupons: tokens and pictures for whoever knows a name, once each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from db.models import Academy, Coupon, CouponUse
from db.unit_of_work import UnitOfWork
from services.cleaning import one_line
from services.clock import Clock
from services.errors import Conflict, Forbidden, InvalidRequest, NotFound
from services.ids import new_id
from services.quota.ledger import KINDS, Ledger

MAX_NAME, MAX_RANGE = 80, 255
MAX_AMOUNT = 2**40
_EVERYBODY = {"", "*", "all", "全部", "所有"}


@dataclass(frozen=True, slots=True)
class CouponRecord:
    """A coupon, free of the database. `range`: the academies it is for, separated by commas."""

    id: str
    name: str
    tokens: int
    pictures: int
    range: str
    available: bool

    @classmethod
    def of(cls, row: Coupon) -> CouponRecord:
        return cls(row.id, row.name, row.tokens, row.pictures, row.range, row.available)


class Coupons:
    """Keeps coupons and gives what they are worth."""

    def __init__(self, *, uow: UnitOfWork, clock: Clock, ledger: Ledger) -> None:
        self._uow = uow
        self._clock = clock
        self._ledger = ledger

    def add(self, name: str, *, tokens: int, pictures: int, range_: str) -> None:
        """Raises `Conflict` for a name that is taken, and `InvalidRequest`."""
        row = Coupon(
            id=new_id("q"),
            name=_checked_name(name),
            tokens=tokens,
            pictures=pictures,
            range=_checked_range(range_),
            available=True,
            created_ms=self._clock.now_ms(),
        )
        try:
            self._uow.run(lambda session: session.merge(row))
        except IntegrityError as error:
            raise Conflict("There is such a coupon already.", field="token_name") from error

    def modify(self, name: str, *, tokens: int, pictures: int, range_: str, available: bool) -> None:
        """Raises `NotFound`."""
        with self._uow() as session:
            row = _found(session, name)
            row.tokens, row.pictures = tokens, pictures
            row.range, row.available = _checked_range(range_), available

    def switch(self, name: str, available: bool) -> None:
        """Let it be had, or no longer. Raises `NotFound`."""
        with self._uow() as session:
            _found(session, name).available = available

    def delete(self, name: str) -> None:
        """Raises `NotFound`. What it gave stays given."""
        with self._uow() as session:
            session.delete(_found(session, name))

    def redeem(self, name: str, user_id: str, *, academy: str = "") -> CouponRecord:
        """Give a user what the coupon is worth; of parallel requests exactly one does.

        Args:
            academy: What the user says; what was stored at registration counts more.

        Raises:
            NotFound: No such coupon.
            Forbidden: It cannot be had now, or not by this academy.
            Conflict: The user has had it.
        """

        def work(session: Session) -> CouponRecord:
            coupon = _found(session, name)
            stored = session.scalar(select(Academy.name).where(Academy.user_id == user_id))
            if not coupon.available or not _is_for(coupon.range, stored or academy):
                raise Forbidden("This coupon is not available to you.")
            now_ms = self._clock.now_ms()
            if session.get(CouponUse, (coupon.id, user_id)) is not None:
                raise _had()
            session.add(CouponUse(coupon_id=coupon.id, user_id=user_id, used_ms=now_ms))
            session.flush()
            for kind, amount in zip(KINDS, (coupon.tokens, coupon.pictures), strict=True):
                self._ledger.grant(
                    session, user_id=user_id, kind=kind, amount=amount, now_ms=now_ms, note=f"coupon {coupon.id}"
                )
            return CouponRecord.of(coupon)

        try:
            return self._uow.run(work)
        except IntegrityError as error:
            raise _had() from error

    def count(self) -> int:
        with self._uow.read() as session:
            return session.scalar(select(func.count()).select_from(Coupon)) or 0

    def page(self, start: int, count: int) -> Sequence[CouponRecord]:
        """As they were added."""
        statement = select(Coupon).order_by(Coupon.created_ms, Coupon.id).offset(start).limit(count)
        with self._uow.read() as session:
            return [CouponRecord.of(row) for row in session.scalars(statement)]

    def named(self, name: str) -> CouponRecord:
        """Raises `NotFound`."""
        with self._uow.read() as session:
            return CouponRecord.of(_found(session, name))


def _found(session: Session, name: str) -> Coupon:
    row = session.scalar(select(Coupon).where(Coupon.name == name.strip()))
    if row is None:
        raise NotFound("There is no such coupon.")
    return row


def _is_for(range_: str, academy: str) -> bool:
    """Whether a coupon of this range is for a user of this academy."""
    named = {part.strip().casefold() for part in range_.replace("，", ",").split(",")}
    return bool(named & _EVERYBODY) or academy.strip().casefold() in named


def _checked_name(written: str) -> str:
    name = one_line(written, MAX_NAME + 1)
    if not 0 < len(name) <= MAX_NAME:
        raise InvalidRequest(f"A coupon's name has 1 to {MAX_NAME} characters.", field="token_name")
    return name


def _checked_range(written: str) -> str:
    text = one_line(written, MAX_RANGE + 1)
    if len(text) > MAX_RANGE:
        raise InvalidRequest(f"A range has at most {MAX_RANGE} characters.", field="token_range")
    return text


def _had() -> Conflict:
    return Conflict("You have had this coupon.", field="token_id")
