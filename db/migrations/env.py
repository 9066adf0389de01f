"""What Alembic runs: the migrations, over the connection that `db/migrate.py` hands in."""

from __future__ import annotations

from alembic import context

from db.migrations.filter import is_ours
from db.models import Conversation

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Conversation.metadata,
    include_object=is_ours,
    compare_type=True,
    transaction_per_migration=True,
    render_as_batch=True,
)
with context.begin_transaction():
    context.run_migrations()
