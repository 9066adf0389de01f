"""A conversation as a file, a page at a time: little is in memory, and no transaction waits for a reader."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime

from sqlalchemy import select

from db.models import Message
from db.unit_of_work import UnitOfWork

from .conversations import Conversations
from .records import ConversationRecord, MessageRecord

_PAGE = 100


class Exports:
    """Writes conversations for their owner. Both raise `NotFound` before the first piece."""

    def __init__(self, uow: UnitOfWork, conversations: Conversations) -> None:
        self._uow = uow
        self._conversations = conversations

    def json(self, user_id: str, conversation_id: str) -> Iterator[str]:
        """All branches: `{"conversation": Conversation, "messages": [Message]}`, oldest first."""
        record = self._conversations.get(user_id, conversation_id)
        return self._json(user_id, record)

    def markdown(
        self, user_id: str, conversation_id: str, *, user: str = "User", assistant: str = "Assistant"
    ) -> Iterator[str]:
        """The branch that ends at the newest leaf.

        Args:
            user, assistant: What the two are called, in the reader's language.
        """
        record = self._conversations.get(user_id, conversation_id)
        return self._markdown(user_id, record, {"user": user, "assistant": assistant})

    def _json(self, user_id: str, record: ConversationRecord) -> Iterator[str]:
        yield '{"conversation": ' + _dumps(record.to_wire()) + ', "messages": ['
        after, comma = None, ""
        while True:
            page = self._conversations.messages(user_id, record.id, limit=_PAGE, after=after)
            for message in page.items:
                yield f"{comma}\n" + _dumps(message.to_wire())
                comma = ","
            if page.next is None:
                break
            after = page.next
        yield "\n]}\n"

    def _markdown(self, user_id: str, record: ConversationRecord, names: dict[str, str]) -> Iterator[str]:
        yield f"# {record.title}\n" if record.title else "# -\n"
        branch = self._branch(record)
        for start in range(0, len(branch), _PAGE):
            for message in self._texts(user_id, branch[start : start + _PAGE]):
                at = datetime.fromtimestamp(message.created_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M UTC")
                model = f" ({message.model})" if message.model else ""
                yield f"\n## {names.get(message.role, message.role)}{model}, {at}\n\n{message.text.rstrip()}\n"

    def _branch(self, record: ConversationRecord) -> list[str]:
        """The ids from the root to the newest leaf, without the texts."""
        with self._uow.read() as session:
            rows = session.execute(
                select(Message.id, Message.parent_id)
                .where(Message.conversation_id == record.id)
                .order_by(Message.created_ms, Message.id)
            ).all()
        parents: dict[str, str | None] = {row.id: row.parent_id for row in rows}
        at = record.head if record.head in parents else (rows[-1].id if rows else None)
        branch: list[str] = []
        while at is not None and at in parents:
            branch.append(at)
            at = parents.pop(at)
        return branch[::-1]

    def _texts(self, user_id: str, ids: list[str]) -> list[MessageRecord]:
        """These messages, in this order; one deleted meanwhile is left out."""
        with self._uow.read() as session:
            rows = session.scalars(select(Message).where(Message.id.in_(ids), Message.user_id == user_id))
            found = {row.id: MessageRecord.of(row) for row in rows}
        return [found[message_id] for message_id in ids if message_id in found]


def _dumps(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)
