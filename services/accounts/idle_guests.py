"""Guests who came, wrote nothing and went: their rows would pile up for ever."""

from __future__ import annotations

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from db.models import BearerToken, Conversation, Turn, User
from db.unit_of_work import UnitOfWork

IDLE_MS = 7 * 86_400_000
SWEPT_AT_ONCE = 200


def forget_idle_guests(uow: UnitOfWork, now_ms: int) -> int:
    """Delete guests without a conversation or a turn who have been away for `IDLE_MS`; how many.

    A part at a time, so that no transaction holds others up: as long as it is `SWEPT_AT_ONCE`, there are more.
    """
    before_ms = now_ms - IDLE_MS

    def work(session: Session) -> int:
        used = select(BearerToken.id).where(BearerToken.user_id == User.id, BearerToken.last_used_ms > before_ms)
        wrote = select(Conversation.id).where(Conversation.user_id == User.id)
        paid = select(Turn.id).where(Turn.user_id == User.id)
        idle = (User.guest, User.created_ms < before_ms, ~used.exists(), ~wrote.exists(), ~paid.exists())
        ids = session.scalars(select(User.id).where(*idle).limit(SWEPT_AT_ONCE)).all()
        session.execute(delete(User).where(User.id.in_(ids), User.guest))
        return len(ids)

    return uow.run(work)
