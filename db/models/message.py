"""Messages: the tree inside a conversation."""

from __future__ import annotations

from sqlalchemy import BigInteger, ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from db.base import Base, Id, LongText, Millis


class Message(Base):
    """One message. An assistant message is stored empty when its turn starts and filled once at its end."""

    __tablename__ = "message"
    __table_args__ = (Index(None, "conversation_id", "created_ms", "id"), Base.__table_args__)

    id: Mapped[Id] = mapped_column(primary_key=True)
    conversation_id: Mapped[Id] = mapped_column(ForeignKey("conversation.id", ondelete="CASCADE"))
    user_id: Mapped[Id] = mapped_column(index=True)
    """Owner, repeated here so that search needs no join."""
    parent_id: Mapped[str | None] = mapped_column(String(40))
    role: Mapped[str] = mapped_column(String(16))
    """`user` or `assistant`."""
    text: Mapped[LongText] = mapped_column(default="")
    reasoning: Mapped[LongText] = mapped_column(default="")
    pictures: Mapped[str] = mapped_column(String(320), default="", server_default="")
    """Ids of the pictures a question shows, with blanks between them."""
    model: Mapped[str] = mapped_column(String(128), default="")
    turn_id: Mapped[str | None] = mapped_column(String(40))
    status: Mapped[str] = mapped_column(String(16), default="")
    """Empty for a user's message; `running` and then the turn's ending for an answer."""
    prompt_tokens: Mapped[int] = mapped_column(default=0)
    completion_tokens: Mapped[int] = mapped_column(default=0)
    charged: Mapped[int] = mapped_column(BigInteger, default=0)
    heard_chars: Mapped[int | None]
    """How far an answer was heard that was read aloud and interrupted; None for all of it, or none read aloud."""
    created_ms: Mapped[Millis]
