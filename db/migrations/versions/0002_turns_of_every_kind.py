"""Turns of every kind: what came of one that fills no message is kept on the turn itself."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0002"
down_revision = "0001"

LONG_TEXT = sa.Text().with_variant(mysql.LONGTEXT(), "mysql", "mariadb")


def upgrade() -> None:
    op.add_column("turn", sa.Column("kind", sa.String(16), nullable=False, server_default="text"))
    op.add_column("turn", sa.Column("text", LONG_TEXT, nullable=True))
    op.add_column("turn", sa.Column("result", LONG_TEXT, nullable=True))
