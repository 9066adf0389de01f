"""Conversations: what a user sees in the list."""

from __future__ import annotations

from sqlalchemy import ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from db.base import Base, Id, Millis


class Conversation(Base):
    """A tree of messages with a title. `version` grows with every change a device may have to fetch."""

    __tablename__ = "conversation"
    __table_args__ = (Index(None, "user_id", "updated_ms"), Base.__table_args__)

    id: Mapped[Id] = mapped_column(primary_key=True)
    user_id: Mapped[Id] = mapped_column(ForeignKey("user.id", ondelete="CASCADE"))
    title: Mapped[str] = mapped_column(String(200), default="")
    head: Mapped[str | None] = mapped_column(String(40))
    """The newest leaf: where a turn without `parent` goes on."""
    version: Mapped[int] = mapped_column(default=1)
    created_ms: Mapped[Millis]
    updated_ms: Mapped[Millis]
