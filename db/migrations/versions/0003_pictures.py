"""Pictures: those a user keeps, those a question shows, and the one a reading is of."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

TABLE = {"mysql_charset": "utf8mb4", "mysql_collate": "utf8mb4_bin", "mysql_engine": "InnoDB"}


def upgrade() -> None:
    op.create_table(
        "picture",
        sa.Column("id", sa.String(40), primary_key=True, nullable=False),
        sa.Column("user_id", sa.String(40), nullable=False),
        sa.Column("media_type", sa.String(32), nullable=False),
        sa.Column("bytes", sa.Integer(), nullable=False),
        sa.Column("width", sa.Integer(), nullable=False),
        sa.Column("height", sa.Integer(), nullable=False),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["user.id"], name="fk_picture_user_id", ondelete="CASCADE"),
        **TABLE,
    )
    op.create_index("ix_picture_user_id_created_ms", "picture", ["user_id", "created_ms"])
    op.add_column("message", sa.Column("pictures", sa.String(320), nullable=False, server_default=""))
    op.add_column("turn", sa.Column("picture_id", sa.String(40), nullable=False, server_default=""))
