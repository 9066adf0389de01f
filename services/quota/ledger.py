"""The ledger: what is set aside for a turn, what is charged, and proof that it adds up.

Every method works inside the caller's transaction, so that money moves together with the messages and turns it
pays for. Balances change by conditional updates only and never go below zero. A turn's entry is always touched
before its account: two transactions on the same turn queue at the entry instead of deadlocking.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, cast

from sqlalchemy import CursorResult, and_, delete, insert, select, update
from sqlalchemy.orm import InstrumentedAttribute, Session
from sqlalchemy.sql.dml import UpdateBase

from db.models import Account, LedgerEntry
from services.errors import NotFound, QuotaExceeded, ServerBusy
from services.ids import new_id

from .audit import audit

Kind = Literal["tokens", "pictures"]
KINDS: tuple[Kind, ...] = ("tokens", "pictures")
_MAX_RACES = 16


@dataclass(frozen=True, slots=True)
class Quota:
    """What a user may still spend; what running turns have set aside is not in it."""

    tokens: int
    pictures: int

    def to_wire(self) -> dict[str, int]:
        return {"tokens": self.tokens, "pictures": self.pictures}


class Ledger:
    """Keeps the books. Has no state of its own."""

    def __init__(self, *, initial_tokens: int, initial_pictures: int) -> None:
        self._initial: dict[Kind, int] = {"tokens": initial_tokens, "pictures": initial_pictures}

    def open_account(self, session: Session, user_id: str, now_ms: int) -> None:
        """Give a new user an account with what everybody starts with."""
        session.add(
            Account(
                user_id=user_id,
                tokens_available=self._initial["tokens"],
                pictures_available=self._initial["pictures"],
            )
        )
        session.add_all(
            _entry(user_id=user_id, kind=kind, granted=amount, settled=True, note="sign-up", now_ms=now_ms)
            for kind, amount in self._initial.items()
        )
        session.flush()

    def grant(self, session: Session, *, user_id: str, kind: Kind, amount: int, now_ms: int, note: str) -> None:
        """Add to what a user may spend.

        Raises:
            NotFound: The user has no account.
        """
        if amount < 0:
            raise ValueError("A grant cannot take away.")
        if not _change(session, user_id, kind, amount):
            raise NotFound("There is no such account.")
        session.add(_entry(user_id=user_id, kind=kind, granted=amount, settled=True, note=note, now_ms=now_ms))
        session.flush()

    def withdraw(self, session: Session, *, user_id: str, kind: Kind, amount: int, now_ms: int, note: str) -> None:
        """Take from what a user may spend, for no turn: an administrator's correction.

        Raises:
            QuotaExceeded: Less than that is left.
        """
        if amount < 0:
            raise ValueError("A withdrawal cannot give.")
        if not _change(session, user_id, kind, -amount):
            raise QuotaExceeded(f"Less than {amount} {kind} are left.")
        entry = _entry(user_id=user_id, kind=kind, settled=True, note=note, now_ms=now_ms)
        entry.charged = amount
        session.add(entry)
        session.flush()

    def balance(self, session: Session, user_id: str) -> Quota:
        """What the user may still spend.

        Raises:
            NotFound: The user has no account.
        """
        row = session.execute(
            select(Account.tokens_available, Account.pictures_available).where(Account.user_id == user_id)
        ).one_or_none()
        if row is None:
            raise NotFound("There is no such account.")
        return Quota(*row)

    def reserve(
        self, session: Session, *, user_id: str, turn_id: str, kind: Kind, want: int, at_least: int, now_ms: int
    ) -> int:
        """Set aside what a turn may need; what the turn has already, when it asks again.

        Args:
            want: Upper bound of what is set aside.
            at_least: Less than this is of no use; it is then refused.

        Returns:
            What was set aside, `at_least` to `want`.

        Raises:
            QuotaExceeded: Less than `at_least` is left.
            ServerBusy: Others of the same account were quicker too many times.
        """
        if not 0 <= at_least <= want:
            raise ValueError("Reserve from at_least to want, neither negative.")
        available, held = _available_and_held(session, user_id, turn_id, kind)
        if held is not None:
            return held
        entry = _entry(user_id=user_id, turn_id=turn_id, kind=kind, now_ms=now_ms)
        mine = LedgerEntry.id == entry.id
        for race in range(_MAX_RACES):
            if available < at_least:
                break
            entry.reserved = min(want, available)
            if race > 0:
                _rows(session, update(LedgerEntry).where(mine).values(reserved=entry.reserved))
            elif not _insert_once(session, entry):
                return _available_and_held(session, user_id, turn_id, kind)[1] or 0
            if _change(session, user_id, kind, -entry.reserved):
                return entry.reserved
            available = _available(session, user_id, kind)
        _rows(session, delete(LedgerEntry).where(mine))
        if available >= at_least:
            raise ServerBusy("Too many turns of this account are starting at once.", retry_after_s=1)
        raise QuotaExceeded(f"This turn may need {at_least} {kind}; {available} are left.")

    def top_up(self, session: Session, *, turn_id: str, kind: Kind, want: int) -> int:
        """Set aside up to `want` more for a running turn; 0 when nothing is left or the turn is settled."""
        if want < 0:
            raise ValueError("A top-up cannot take away.")
        user_id = session.scalar(
            select(LedgerEntry.user_id).where(LedgerEntry.turn_id == turn_id, LedgerEntry.kind == kind)
        )
        if user_id is None:
            return 0
        for _ in range(_MAX_RACES):
            taken = min(want, _available(session, user_id, kind))
            if taken == 0 or not _reserve_more(session, turn_id, kind, taken):
                return 0
            if _change(session, user_id, kind, -taken):
                return taken
            _reserve_more(session, turn_id, kind, -taken)
        return 0

    def reserved_kinds(self, session: Session, turn_id: str) -> Sequence[Kind]:
        """What was ever reserved for a turn."""
        kinds = session.scalars(select(LedgerEntry.kind).where(LedgerEntry.turn_id == turn_id))
        return cast("Sequence[Kind]", kinds.all())

    def settle(self, session: Session, *, turn_id: str, kind: Kind, charge: int, now_ms: int, note: str = "") -> int:
        """Charge a turn for good and give the rest back, once; later calls change nothing.

        Args:
            charge: What was used. Beyond the reservation it is taken from what is available, and no further:
                the rest is the house's loss, and the entry's note tells it.

        Returns:
            What was charged, by the first call.

        Raises:
            LookupError: Nothing was ever reserved for this turn.
        """
        if charge < 0:
            raise ValueError("A charge cannot give.")
        mine = and_(LedgerEntry.turn_id == turn_id, LedgerEntry.kind == kind)
        first = _rows(
            session,
            update(LedgerEntry).where(mine, LedgerEntry.settled.is_(False)).values(settled=True, settled_ms=now_ms),
        )
        row = session.execute(
            select(LedgerEntry.user_id, LedgerEntry.reserved, LedgerEntry.charged).where(mine)
        ).one_or_none()
        if row is None:
            raise LookupError(f"No {kind} were reserved for turn {turn_id}.")
        user_id, reserved, charged = row
        if not first:
            return charged
        charged = min(charge, reserved)
        if reserved > charged:
            _change(session, user_id, kind, reserved - charged)
        elif charge > charged:
            charged += _take_up_to(session, user_id, kind, charge - charged)
        if charged < charge:
            note = f"{note} short by {charge - charged}".strip()
        _rows(session, update(LedgerEntry).where(mine).values(reserved=0, charged=charged, note=note[:64]))
        return charged

    def audit(self, session: Session) -> list[str]:
        """Every way in which the books do not balance; empty when they do."""
        return audit(session)


def _column(kind: Kind) -> InstrumentedAttribute[int]:
    return Account.tokens_available if kind == "tokens" else Account.pictures_available


def _available(session: Session, user_id: str, kind: Kind) -> int:
    available = session.scalar(select(_column(kind)).where(Account.user_id == user_id))
    if available is None:
        raise NotFound("There is no such account.")
    return available


def _change(session: Session, user_id: str, kind: Kind, amount: int) -> bool:
    """Add `amount` (or take, when negative) unless that leads below zero; whether it was done."""
    column = _column(kind)
    statement = update(Account).where(Account.user_id == user_id, column >= -amount).values({column: column + amount})
    return _rows(session, statement) == 1


def _take_up_to(session: Session, user_id: str, kind: Kind, want: int) -> int:
    for _ in range(_MAX_RACES):
        taken = min(want, _available(session, user_id, kind))
        if taken == 0 or _change(session, user_id, kind, -taken):
            return taken
    return 0


def _available_and_held(session: Session, user_id: str, turn_id: str, kind: Kind) -> tuple[int, int | None]:
    """What the user has left, and what this turn has set aside already (None: it never asked)."""
    its = and_(LedgerEntry.turn_id == turn_id, LedgerEntry.kind == kind)
    row = session.execute(
        select(_column(kind), LedgerEntry.reserved)
        .select_from(Account)
        .outerjoin(LedgerEntry, its)
        .where(Account.user_id == user_id)
    ).one_or_none()
    if row is None:
        raise NotFound("There is no such account.")
    return row[0], row[1]


def _reserve_more(session: Session, turn_id: str, kind: Kind, amount: int) -> bool:
    statement = (
        update(LedgerEntry)
        .where(LedgerEntry.turn_id == turn_id, LedgerEntry.kind == kind, LedgerEntry.settled.is_(False))
        .values(reserved=LedgerEntry.reserved + amount)
    )
    return _rows(session, statement) == 1


def _insert_once(session: Session, entry: LedgerEntry) -> bool:
    """Insert unless the turn has an entry of this kind; waits for another transaction that is about to add one."""
    values = {column.key: getattr(entry, column.key) for column in LedgerEntry.__table__.columns}
    statement = (
        insert(LedgerEntry)
        .values(values)
        .prefix_with("OR IGNORE", dialect="sqlite")
        .prefix_with("IGNORE", dialect="mysql")
        .prefix_with("IGNORE", dialect="mariadb")
    )
    return _rows(session, statement) == 1


def _rows(session: Session, statement: UpdateBase) -> int:
    """How many rows a change matched."""
    result = session.execute(statement, execution_options={"synchronize_session": False})
    return cast("CursorResult[object]", result).rowcount


def _entry(
    *,
    user_id: str,
    kind: Kind,
    now_ms: int,
    turn_id: str | None = None,
    granted: int = 0,
    settled: bool = False,
    note: str = "",
) -> LedgerEntry:
    return LedgerEntry(
        id=new_id("l"),
        user_id=user_id,
        turn_id=turn_id,
        kind=kind,
        reserved=0,
        charged=0,
        granted=granted,
        settled=settled,
        note=note[:64],
        created_ms=now_ms,
        settled_ms=now_ms if settled else None,
    )
