"""Speech: how long one spoke, how long an answer was read aloud, and how far it was heard."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    op.add_column("turn", sa.Column("audio_ms", sa.BigInteger(), nullable=False, server_default="0"))
    op.add_column("turn", sa.Column("spoken_ms", sa.BigInteger(), nullable=False, server_default="0"))
    op.add_column("message", sa.Column("heard_chars", sa.Integer(), nullable=True))
