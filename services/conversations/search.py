"""Full-text search over a user's titles and messages, the same on SQLite, MySQL and MariaDB."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, delete, func, select, text
from sqlalchemy.dialects.mysql import match
from sqlalchemy.orm import Session

from db.models import Conversation, Message, SearchEntry

from .paging import Cursor, older_than
from .records import ConversationRecord
from .terms import Term, index_terms, query_terms, snippet


def index_message(session: Session, message: Message) -> None:
    """Make a message's text findable, instead of what was there before. In the transaction that stores the text."""
    session.execute(delete(SearchEntry).where(SearchEntry.message_id == message.id))
    add_message(session, message)


def add_message(session: Session, message: Message) -> None:
    """The same for a message that is new."""
    _add(session, message.user_id, message.conversation_id, message.id, message.text)


def index_title(session: Session, conversation: Conversation) -> None:
    """Make a conversation's title findable, instead of its former one."""
    session.execute(
        delete(SearchEntry).where(SearchEntry.conversation_id == conversation.id, SearchEntry.message_id.is_(None))
    )
    _add(session, conversation.user_id, conversation.id, None, conversation.title)


def find(session: Session, *, user_id: str, query: str, limit: int, before: Cursor | None) -> list[ConversationRecord]:
    """The user's conversations with a title or a message that has every word of `query`, newest first."""
    terms = query_terms(user_id, query)
    if not terms:
        return []
    hits = (
        select(SearchEntry.conversation_id, func.max(SearchEntry.id).label("entry_id"))
        .where(SearchEntry.user_id == user_id, _matches(session, terms))
        .group_by(SearchEntry.conversation_id)
        .subquery()
    )
    statement = (
        select(Conversation, Message.text)
        .join(hits, hits.c.conversation_id == Conversation.id)
        .join(SearchEntry, SearchEntry.id == hits.c.entry_id)
        .outerjoin(Message, Message.id == SearchEntry.message_id)
        .where(Conversation.user_id == user_id)
        .order_by(Conversation.updated_ms.desc(), Conversation.id.desc())
        .limit(limit)
    )
    if before is not None:
        statement = statement.where(older_than(before))
    return [
        ConversationRecord.of(conversation, snippet=snippet(found or conversation.title, query))
        for conversation, found in session.execute(statement)
    ]


def _add(session: Session, user_id: str, conversation_id: str, message_id: str | None, body: str) -> None:
    if terms := index_terms(user_id, body):
        session.add(SearchEntry(user_id=user_id, conversation_id=conversation_id, message_id=message_id, terms=terms))
        session.flush()


def _matches(session: Session, terms: list[Term]) -> ColumnElement[Any]:
    """Terms are letters and digits only, so neither engine's query language can be reached from a query."""
    if session.get_bind().dialect.name == "sqlite":
        asked = " AND ".join(f'"{term.word}"' + ("*" if term.is_prefix else "") for term in terms)
        rows = text("SELECT rowid FROM search_text WHERE search_text MATCH :asked").bindparams(asked=asked)
        return SearchEntry.id.in_(rows.columns(SearchEntry.id))
    asked = " ".join(f"+{term.word}" + ("*" if term.is_prefix else "") for term in terms)
    return match(SearchEntry.__table__.c.terms, against=asked, in_boolean_mode=True)
