"""Pages that stay right while rows come and go: a cursor is the last row's time and id, never a number of rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

from sqlalchemy import ColumnElement, and_, or_

from db.models import Conversation, Message
from services.errors import InvalidRequest

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """Some rows, and what to ask for to get the following ones; `next` is None after the last."""

    items: list[T]
    next: str | None


@dataclass(frozen=True, slots=True)
class Cursor:
    """A row's place in its order."""

    at_ms: int
    id: str

    def __str__(self) -> str:
        return f"{self.at_ms}.{self.id}"


def read_cursor(written: str | None, *, field: str) -> Cursor | None:
    """The cursor a client brings back; None for the first page.

    Raises:
        InvalidRequest: It is not one of ours.
    """
    if not written:
        return None
    at_ms, dot, row_id = written.partition(".")
    if not (dot and at_ms.isascii() and at_ms.isdigit() and len(at_ms) < 16 and 0 < len(row_id) <= 40):
        raise InvalidRequest(f"{field} must be the next of an earlier page.", field=field)
    return Cursor(int(at_ms), row_id)


def older_than(cursor: Cursor) -> ColumnElement[bool]:
    """Conversations after `cursor` in the list, which has the newest first."""
    at = Conversation.updated_ms
    return or_(at < cursor.at_ms, and_(at == cursor.at_ms, Conversation.id < cursor.id))


def newer_than(cursor: Cursor) -> ColumnElement[bool]:
    """Messages after `cursor`, oldest first."""
    at = Message.created_ms
    return or_(at > cursor.at_ms, and_(at == cursor.at_ms, Message.id > cursor.id))
