"""The proof that the books balance: sums compared in the database, row by row only where they differ."""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import and_, func, or_, select
from sqlalchemy.orm import InstrumentedAttribute, Session

from db.models import Account, LedgerEntry, Message, Turn


def audit(session: Session) -> list[str]:
    """Every way in which money and what it paid for disagree; empty when they agree.

    Pictures are charged without a count on their turn, so only tokens are compared with turns and messages.
    """
    return [
        *_accounts(session, "tokens", Account.tokens_available),
        *_accounts(session, "pictures", Account.pictures_available),
        *_entries(session),
        *_turns(session),
        *_messages(session),
    ]


def _accounts(session: Session, kind: str, available: InstrumentedAttribute[int]) -> Iterator[str]:
    left = func.sum(LedgerEntry.granted - LedgerEntry.charged - LedgerEntry.reserved)
    rows = session.execute(
        select(Account.user_id, available, func.coalesce(left, 0))
        .outerjoin(LedgerEntry, and_(LedgerEntry.user_id == Account.user_id, LedgerEntry.kind == kind))
        .group_by(Account.user_id, available)
        .having(or_(available < 0, available != func.coalesce(left, 0)))
    )
    for user_id, has, should in rows:
        yield f"{user_id}: {has} {kind} available, but granted - charged - reserved is {should}."


def _entries(session: Session) -> Iterator[str]:
    negative = or_(LedgerEntry.reserved < 0, LedgerEntry.charged < 0, LedgerEntry.granted < 0)
    held_for_ever = and_(LedgerEntry.settled, LedgerEntry.reserved != 0)
    too_early = and_(~LedgerEntry.settled, LedgerEntry.charged != 0)
    wrong = select(LedgerEntry.id, LedgerEntry.turn_id).where(or_(negative, held_for_ever, too_early))
    for entry_id, turn_id in session.execute(wrong):
        yield f"{entry_id} (turn {turn_id}): negative, charged before its settlement, or reserved after it."


def _turns(session: Session) -> Iterator[str]:
    """Every charge but a withdrawal has a turn that tells the same; every charged turn has an entry."""
    charges = select(Turn.id, Turn.charged, LedgerEntry.charged).select_from(LedgerEntry)
    same = and_(LedgerEntry.turn_id == Turn.id, LedgerEntry.kind == "tokens")
    unlike = (
        charges.outerjoin(Turn, Turn.id == LedgerEntry.turn_id)
        .add_columns(LedgerEntry.turn_id)
        .where(LedgerEntry.kind == "tokens", LedgerEntry.turn_id.is_not(None))
        .where(LedgerEntry.charged != func.coalesce(Turn.charged, 0))
    )
    for _, stored, charged, turn_id in session.execute(unlike):
        yield f"turn {turn_id}: {charged} tokens charged in the ledger, {stored} on the turn."
    charged_turns = select(Turn.id, Turn.charged).where(Turn.charged != 0)
    unpaid = charged_turns.outerjoin(LedgerEntry, same).where(LedgerEntry.id.is_(None))
    for turn_id, stored in session.execute(unpaid):
        yield f"turn {turn_id}: {stored} tokens on the turn, none in the ledger."


def _messages(session: Session) -> Iterator[str]:
    """A stored answer tells its turn's charge. Answers of deleted conversations are gone; their turns stay."""
    unlike = (
        select(Turn.id, Turn.charged, Message.charged)
        .join(Message, and_(Message.id == Turn.message_id, Message.turn_id == Turn.id))
        .where(Turn.charged != Message.charged)
    )
    for turn_id, on_turn, on_message in session.execute(unlike):
        yield f"turn {turn_id}: {on_turn} tokens on the turn, {on_message} on its message."
