"""The full-text index: what can be found, as words both database engines index alike."""

from __future__ import annotations

from sqlalchemy import BigInteger, ForeignKey, Index, Integer
from sqlalchemy.orm import Mapped, mapped_column

from db.base import Base, Id, LongText


class SearchEntry(Base):
    """A message, or a conversation's title (`message_id` is None), as terms.

    The full-text index itself is made by the migration: FTS5 with triggers on SQLite, FULLTEXT on MySQL and MariaDB.
    """

    __tablename__ = "search_entry"
    __table_args__ = (Index(None, "conversation_id", "message_id"), Base.__table_args__)

    id: Mapped[int] = mapped_column(
        BigInteger().with_variant(Integer(), "sqlite"), primary_key=True, autoincrement=True
    )
    user_id: Mapped[Id]
    conversation_id: Mapped[Id] = mapped_column(ForeignKey("conversation.id", ondelete="CASCADE"))
    message_id: Mapped[str | None] = mapped_column(ForeignKey("message.id", ondelete="CASCADE"), index=True)
    terms: Mapped[LongText]
