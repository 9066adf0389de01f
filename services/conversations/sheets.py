"""Conversations as a page with one column reads them: one unused at most, previews, the newest branch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.orm import Session, aliased

from db.models import Conversation, Message, User
from db.unit_of_work import UnitOfWork

from .conversations import Conversations
from .records import ConversationRecord, MessageRecord

MAX_LISTED = 500
_PREVIEW = 40


@dataclass(frozen=True, slots=True)
class Sheet:
    """A conversation of the list. `preview`: the beginning of its last message, empty when it has none."""

    id: str
    created_ms: int
    preview: str


class Sheets:
    """A second reader of the same conversations."""

    def __init__(self, uow: UnitOfWork, conversations: Conversations) -> None:
        self._uow = uow
        self._conversations = conversations

    def unused(self, user_id: str) -> tuple[ConversationRecord, bool]:
        """The user's newest conversation without a message, else a new one; whether it is new.

        Of parallel calls exactly one makes it: they queue at the user's row.
        """

        def work(session: Session) -> tuple[ConversationRecord, bool]:
            session.scalar(select(User.id).where(User.id == user_id).with_for_update())
            row = session.scalar(
                select(Conversation)
                .where(Conversation.user_id == user_id, Conversation.head.is_(None))
                .order_by(Conversation.created_ms.desc(), Conversation.id.desc())
                .limit(1)
            )
            is_new = row is None
            row = row or self._conversations.add(session, user_id=user_id)
            return ConversationRecord.of(row), is_new

        return self._uow.run(work)

    def newest(self, user_id: str, *, limit: int = MAX_LISTED) -> Sequence[Sheet]:
        """By when they were begun, newest first."""
        last, before = aliased(Message), aliased(Message)
        statement = (
            select(
                Conversation.id,
                Conversation.created_ms,
                func.substr(last.text, 1, _PREVIEW),
                func.substr(before.text, 1, _PREVIEW),
            )
            .outerjoin(last, last.id == Conversation.head)
            .outerjoin(before, before.id == last.parent_id)
            .where(Conversation.user_id == user_id)
            .order_by(Conversation.created_ms.desc(), Conversation.id.desc())
            .limit(limit)
        )
        with self._uow.read() as session:
            rows = session.execute(statement).all()
        # An answer that is still being written is empty; what was asked stands for it.
        return [Sheet(row_id, begun_ms, answer or question or "") for row_id, begun_ms, answer, question in rows]

    def branch(self, user_id: str, conversation_id: str) -> Sequence[MessageRecord]:
        """The messages that lead to the newest leaf, oldest first. Raises `NotFound`."""
        with self._uow.read() as session:
            conversation = self._conversations.owned(session, user_id, conversation_id)
            if conversation.head is None:
                return []
            return [MessageRecord.of(row) for row in self._conversations.path_to(session, user_id, conversation.head)]
