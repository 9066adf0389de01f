"""Two users and their conversations over a database."""

from __future__ import annotations

import pytest

from db.models import Message, User
from db.unit_of_work import UnitOfWork
from services.conversations.conversations import Conversations
from tests.clocks import FakeClock


@pytest.fixture
def conversations(uow: UnitOfWork, clock: FakeClock) -> Conversations:
    with uow() as session:
        session.add_all(User(id=name, name=name, guest=False, created_ms=0) for name in ("ann", "bob"))
    return Conversations(uow, clock)


class Talk:
    """Adds messages the way turns do."""

    def __init__(self, uow: UnitOfWork, conversations: Conversations) -> None:
        self._uow = uow
        self._conversations = conversations

    def say(
        self,
        conversation: str,
        text: str,
        *,
        parent: str | None = None,
        role: str = "user",
        user: str = "ann",
        message_id: str | None = None,
    ) -> str:
        """One message, which becomes the newest leaf."""
        with self._uow() as session:
            message: Message = self._conversations.add_message(
                session,
                user_id=user,
                conversation_id=conversation,
                parent_id=parent,
                role=role,
                text=text,
                message_id=message_id,
            )
            self._conversations.touch(session, conversation, head=message.id)
            return message.id


@pytest.fixture
def talk(uow: UnitOfWork, conversations: Conversations) -> Talk:
    return Talk(uow, conversations)
