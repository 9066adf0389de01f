"""What a user may spend, and every movement of it."""

from __future__ import annotations

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from db.base import Base, Id, Millis


class Account(Base):
    """A user's balances. `*_available` excludes what is reserved; neither ever goes below zero."""

    __tablename__ = "account"
    __table_args__ = (
        CheckConstraint("tokens_available >= 0", name="tokens_not_negative"),
        CheckConstraint("pictures_available >= 0", name="pictures_not_negative"),
        Base.__table_args__,
    )

    user_id: Mapped[Id] = mapped_column(ForeignKey("user.id", ondelete="CASCADE"), primary_key=True)
    tokens_available: Mapped[int] = mapped_column(BigInteger)
    pictures_available: Mapped[int] = mapped_column(BigInteger)


class LedgerEntry(Base):
    """The money of one turn and kind: set aside while `reserved` > 0, then `charged` for good.

    Grants (sign-up, coupon) are rows with a `granted` amount and no reservation.
    """

    __tablename__ = "ledger_entry"
    __table_args__ = (UniqueConstraint("turn_id", "kind"), Index(None, "user_id", "created_ms"), Base.__table_args__)

    id: Mapped[Id] = mapped_column(primary_key=True)
    user_id: Mapped[Id] = mapped_column(ForeignKey("user.id", ondelete="CASCADE"))
    turn_id: Mapped[str | None] = mapped_column(String(40))
    kind: Mapped[str] = mapped_column(String(16))
    """`tokens` or `pictures`."""
    reserved: Mapped[int] = mapped_column(BigInteger, default=0)
    charged: Mapped[int] = mapped_column(BigInteger, default=0)
    granted: Mapped[int] = mapped_column(BigInteger, default=0)
    settled: Mapped[bool] = mapped_column(default=False)
    note: Mapped[str] = mapped_column(String(64), default="")
    created_ms: Mapped[Millis]
    settled_ms: Mapped[Millis | None]
