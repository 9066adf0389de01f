"""People: registered users and guests."""

from __future__ import annotations

from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from db.base import Base, Id, Millis


class User(Base):
    """A registered user, or a guest (no password, no folded name)."""

    __tablename__ = "user"

    id: Mapped[Id] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(64).with_variant(String(80), "mysql", "mariadb"))
    name_folded: Mapped[str | None] = mapped_column(String(128), unique=True)
    """NFKC and case-folded; None for guests. The unique constraint decides between parallel registrations."""
    email: Mapped[str | None] = mapped_column(String(254))
    password_hash: Mapped[str | None] = mapped_column(String(255))
    guest: Mapped[bool] = mapped_column(default=False)
    created_ms: Mapped[Millis]
