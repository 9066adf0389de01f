"""What the older backends know and the rest of the server does not: coupons, administrators, academies, origins."""

from __future__ import annotations

from sqlalchemy import BigInteger, ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column

from db.base import Base, Id, Millis


class Academy(Base):
    """The school or department a user of spark-mobile named."""

    __tablename__ = "academy"

    user_id: Mapped[Id] = mapped_column(ForeignKey("user.id", ondelete="CASCADE"), primary_key=True)
    name: Mapped[str] = mapped_column(String(80))


class Administrator(Base):
    """Someone who may use spark-mobile's admin area; the chief, whom the settings name, has no row."""

    __tablename__ = "administrator"

    id: Mapped[Id] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(80), unique=True)
    password_hash: Mapped[str] = mapped_column(String(255))
    created_ms: Mapped[Millis]


class Contact(Base):
    """What a user of cloud-chat gave besides a mail address. `number` is the id that backend tells."""

    __tablename__ = "contact"

    number: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[Id] = mapped_column(ForeignKey("user.id", ondelete="CASCADE"), unique=True)
    phone: Mapped[str | None] = mapped_column(String(32), unique=True)
    display_name: Mapped[str] = mapped_column(String(80))


class Coupon(Base):
    """Tokens and pictures for whoever knows its name, once each."""

    __tablename__ = "coupon"

    id: Mapped[Id] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(80), unique=True)
    tokens: Mapped[int] = mapped_column(BigInteger)
    pictures: Mapped[int] = mapped_column(BigInteger)
    range: Mapped[str] = mapped_column(String(255))
    """Academies it is for, separated by commas; empty or `all` for everybody."""
    available: Mapped[bool]
    created_ms: Mapped[Millis]


class CouponUse(Base):
    """One user has had one coupon. The primary key decides between parallel requests."""

    __tablename__ = "coupon_use"

    coupon_id: Mapped[Id] = mapped_column(ForeignKey("coupon.id", ondelete="CASCADE"), primary_key=True)
    user_id: Mapped[Id] = mapped_column(ForeignKey("user.id", ondelete="CASCADE"), primary_key=True, index=True)
    used_ms: Mapped[Millis]


class Imported(Base):
    """What a row of an older backend has become here, so that importing it again changes nothing."""

    __tablename__ = "imported"

    source: Mapped[str] = mapped_column(String(32), primary_key=True)
    """The backend and the kind of row, as `spark-mobile user`."""
    old_id: Mapped[str] = mapped_column(String(80), primary_key=True)
    new_id: Mapped[Id]
