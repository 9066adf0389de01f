"""Older backends: coupons, administrators, academies, what was imported; longer user names."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0003"

TABLE = {"mysql_charset": "utf8mb4", "mysql_collate": "utf8mb4_bin", "mysql_engine": "InnoDB"}


def upgrade() -> None:
    op.create_table(
        "academy",
        sa.Column("user_id", sa.String(40), primary_key=True, nullable=False),
        sa.Column("name", sa.String(80), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["user.id"], name="fk_academy_user_id", ondelete="CASCADE"),
        **TABLE,
    )
    op.create_table(
        "administrator",
        sa.Column("id", sa.String(40), primary_key=True, nullable=False),
        sa.Column("name", sa.String(80), nullable=False),
        sa.Column("password_hash", sa.String(255), nullable=False),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.UniqueConstraint("name", name="uq_administrator_name"),
        **TABLE,
    )
    op.create_table(
        "coupon",
        sa.Column("id", sa.String(40), primary_key=True, nullable=False),
        sa.Column("name", sa.String(80), nullable=False),
        sa.Column("tokens", sa.BigInteger(), nullable=False),
        sa.Column("pictures", sa.BigInteger(), nullable=False),
        sa.Column("range", sa.String(255), nullable=False),
        sa.Column("available", sa.Boolean(), nullable=False),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.UniqueConstraint("name", name="uq_coupon_name"),
        **TABLE,
    )
    op.create_table(
        "coupon_use",
        sa.Column("coupon_id", sa.String(40), primary_key=True, nullable=False),
        sa.Column("user_id", sa.String(40), primary_key=True, nullable=False),
        sa.Column("used_ms", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["coupon_id"], ["coupon.id"], name="fk_coupon_use_coupon_id", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["user_id"], ["user.id"], name="fk_coupon_use_user_id", ondelete="CASCADE"),
        **TABLE,
    )
    op.create_index("ix_coupon_use_user_id", "coupon_use", ["user_id"])
    op.create_table(
        "imported",
        sa.Column("source", sa.String(32), primary_key=True, nullable=False),
        sa.Column("old_id", sa.String(80), primary_key=True, nullable=False),
        sa.Column("new_id", sa.String(40), nullable=False),
        **TABLE,
    )
    if op.get_context().dialect.name != "sqlite":  # SQLite keeps text of any length whatever the column says
        op.alter_column("user", "name", type_=sa.String(80), existing_type=sa.String(64), existing_nullable=False)
