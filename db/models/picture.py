"""Pictures: what is known of each file in the data folder."""

from __future__ import annotations

from sqlalchemy import ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from db.base import Base, Id, Millis


class Picture(Base):
    """A picture that a user sent or had drawn; its bytes are a file named by `id`."""

    __tablename__ = "picture"
    __table_args__ = (Index(None, "user_id", "created_ms"), Base.__table_args__)

    id: Mapped[Id] = mapped_column(primary_key=True)
    user_id: Mapped[Id] = mapped_column(ForeignKey("user.id", ondelete="CASCADE"))
    media_type: Mapped[str] = mapped_column(String(32))
    """`image/png` or `image/jpeg`: what this server itself wrote."""
    bytes: Mapped[int]
    width: Mapped[int]
    height: Mapped[int]
    created_ms: Mapped[Millis]
