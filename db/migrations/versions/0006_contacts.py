"""What users of cloud-chat gave besides a mail address."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"

TABLE = {"mysql_charset": "utf8mb4", "mysql_collate": "utf8mb4_bin", "mysql_engine": "InnoDB"}


def upgrade() -> None:
    op.create_table(
        "contact",
        sa.Column("number", sa.Integer(), primary_key=True, nullable=False),
        sa.Column("user_id", sa.String(40), nullable=False),
        sa.Column("phone", sa.String(32)),
        sa.Column("display_name", sa.String(80), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["user.id"], name="fk_contact_user_id", ondelete="CASCADE"),
        sa.UniqueConstraint("user_id", name="uq_contact_user_id"),
        sa.UniqueConstraint("phone", name="uq_contact_phone"),
        **TABLE,
    )
