"""Fence: a turn's owners are numbered; running turns are found by age."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    op.add_column("turn", sa.Column("fence", sa.Integer(), nullable=False, server_default="1"))
    op.create_index("ix_turn_status_created_ms", "turn", ["status", "created_ms"])
    op.drop_index("ix_turn_status", "turn")  # the new index begins alike
