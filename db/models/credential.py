"""What proves a user: bearer tokens, browser sessions, reset tickets. Only digests of secrets are stored."""

from __future__ import annotations

from sqlalchemy import ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column

from db.base import Base, Id, Millis


class BearerToken(Base):
    """A named, revocable token of an app or a guest."""

    __tablename__ = "bearer_token"

    id: Mapped[Id] = mapped_column(primary_key=True)
    user_id: Mapped[Id] = mapped_column(ForeignKey("user.id", ondelete="CASCADE"), index=True)
    digest: Mapped[str] = mapped_column(String(64), unique=True)
    name: Mapped[str] = mapped_column(String(64))
    origin: Mapped[str] = mapped_column(String(16))
    """`user` for one asked for by name; `sign_in` and `guest` for those that came with signing in."""
    created_ms: Mapped[Millis]
    expires_ms: Mapped[Millis | None]
    last_used_ms: Mapped[Millis | None]
    """Kept to the hour, so that reading a token does not become a write."""


class BrowserSession(Base):
    """A signed-in browser."""

    __tablename__ = "browser_session"

    id: Mapped[Id] = mapped_column(primary_key=True)
    user_id: Mapped[Id] = mapped_column(ForeignKey("user.id", ondelete="CASCADE"), index=True)
    digest: Mapped[str] = mapped_column(String(64), unique=True)
    created_ms: Mapped[Millis]
    expires_ms: Mapped[Millis]


class PasswordReset(Base):
    """A reset ticket: single use, short-lived."""

    __tablename__ = "password_reset"

    id: Mapped[Id] = mapped_column(primary_key=True)
    user_id: Mapped[Id] = mapped_column(ForeignKey("user.id", ondelete="CASCADE"), index=True)
    digest: Mapped[str] = mapped_column(String(64), unique=True)
    expires_ms: Mapped[Millis]
