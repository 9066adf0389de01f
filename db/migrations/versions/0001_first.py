"""Every table of the first release, with the full-text index of each kind of database."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0001"
down_revision = None

TABLE = {"mysql_charset": "utf8mb4", "mysql_collate": "utf8mb4_bin", "mysql_engine": "InnoDB"}
LONG_TEXT = sa.Text().with_variant(mysql.LONGTEXT(), "mysql", "mariadb")


def upgrade() -> None:
    op.create_table(
        "user",
        text("id", 40, primary_key=True),
        text("name", 64),
        text("name_folded", 128, nullable=True),
        text("email", 254, nullable=True),
        text("password_hash", 255, nullable=True),
        sa.Column("guest", sa.Boolean(), nullable=False),
        number("created_ms"),
        sa.UniqueConstraint("name_folded", name="uq_user_name_folded"),
        **TABLE,
    )
    op.create_table(
        "account",
        text("user_id", 40, primary_key=True),
        number("tokens_available"),
        number("pictures_available"),
        sa.CheckConstraint("tokens_available >= 0", name="tokens_not_negative"),
        sa.CheckConstraint("pictures_available >= 0", name="pictures_not_negative"),
        belongs_to("account", "user"),
        **TABLE,
    )
    op.create_table(
        "ledger_entry",
        text("id", 40, primary_key=True),
        text("user_id", 40),
        text("turn_id", 40, nullable=True),
        text("kind", 16),
        number("reserved"),
        number("charged"),
        number("granted"),
        sa.Column("settled", sa.Boolean(), nullable=False),
        text("note", 64),
        number("created_ms"),
        number("settled_ms", nullable=True),
        belongs_to("ledger_entry", "user"),
        sa.UniqueConstraint("turn_id", "kind", name="uq_ledger_entry_turn_id_kind"),
        **TABLE,
    )
    index("ledger_entry", "user_id", "created_ms")
    create_credentials()
    create_conversations()
    create_turns()
    create_search()


def create_credentials() -> None:
    columns: dict[str, list[sa.Column[Any]]] = {
        "bearer_token": [
            text("name", 64),
            text("origin", 16),
            number("created_ms"),
            number("expires_ms", nullable=True),
            number("last_used_ms", nullable=True),
        ],
        "browser_session": [number("created_ms"), number("expires_ms")],
        "password_reset": [number("expires_ms")],
    }
    for table, own in columns.items():
        op.create_table(
            table,
            text("id", 40, primary_key=True),
            text("user_id", 40),
            text("digest", 64),
            *own,
            belongs_to(table, "user"),
            sa.UniqueConstraint("digest", name=f"uq_{table}_digest"),
            **TABLE,
        )
        index(table, "user_id")


def create_conversations() -> None:
    op.create_table(
        "conversation",
        text("id", 40, primary_key=True),
        text("user_id", 40),
        text("title", 200),
        text("head", 40, nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        number("created_ms"),
        number("updated_ms"),
        belongs_to("conversation", "user"),
        **TABLE,
    )
    index("conversation", "user_id", "updated_ms")
    op.create_table(
        "message",
        text("id", 40, primary_key=True),
        text("conversation_id", 40),
        text("user_id", 40),
        text("parent_id", 40, nullable=True),
        text("role", 16),
        sa.Column("text", LONG_TEXT, nullable=False),
        sa.Column("reasoning", LONG_TEXT, nullable=False),
        text("model", 128),
        text("turn_id", 40, nullable=True),
        text("status", 16),
        sa.Column("prompt_tokens", sa.Integer(), nullable=False),
        sa.Column("completion_tokens", sa.Integer(), nullable=False),
        number("charged"),
        number("created_ms"),
        belongs_to("message", "conversation"),
        **TABLE,
    )
    index("message", "conversation_id", "created_ms", "id")
    index("message", "user_id")


def create_turns() -> None:
    op.create_table(
        "turn",
        text("id", 40, primary_key=True),
        text("user_id", 40),
        text("client_id", 64, nullable=True),
        text("conversation_id", 40),
        text("message_id", 40),
        text("model", 128),
        text("status", 16),
        text("reason", 16),
        text("error_code", 32),
        sa.Column("epoch", sa.Integer(), nullable=False),
        number("end_offset"),
        sa.Column("length", sa.Integer(), nullable=False),
        text("sha256", 64),
        sa.Column("prompt_tokens", sa.Integer(), nullable=False),
        sa.Column("completion_tokens", sa.Integer(), nullable=False),
        sa.Column("estimated", sa.Boolean(), nullable=False),
        number("charged"),
        text("owner", 64),
        number("created_ms"),
        number("ended_ms", nullable=True),
        belongs_to("turn", "user"),
        sa.UniqueConstraint("user_id", "client_id", name="uq_turn_user_id_client_id"),
        **TABLE,
    )
    index("turn", "conversation_id")
    index("turn", "status")
    index("turn", "user_id", "status")
    op.create_table(
        "turn_checkpoint",
        text("turn_id", 40, primary_key=True),
        sa.Column("offset", sa.BigInteger(), autoincrement=False, primary_key=True),
        sa.Column("text", LONG_TEXT, nullable=False),
        sa.Column("reasoning", LONG_TEXT, nullable=False),
        belongs_to("turn_checkpoint", "turn"),
        **TABLE,
    )


def create_search() -> None:
    op.create_table(
        "search_entry",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), primary_key=True, autoincrement=True),
        text("user_id", 40),
        text("conversation_id", 40),
        text("message_id", 40, nullable=True),
        sa.Column("terms", LONG_TEXT, nullable=False),
        belongs_to("search_entry", "conversation"),
        belongs_to("search_entry", "message"),
        **TABLE,
    )
    index("search_entry", "conversation_id", "message_id")
    index("search_entry", "message_id")
    if op.get_bind().dialect.name != "sqlite":
        op.execute("CREATE FULLTEXT INDEX search_text ON search_entry (terms)")
        return
    # The index keeps no copy of the terms; the triggers tell it what comes and goes, by cascades too.
    op.execute(
        "CREATE VIRTUAL TABLE search_text USING fts5"
        "(terms, content='search_entry', content_rowid='id', detail='none', tokenize='ascii')"
    )
    op.execute(
        "CREATE TRIGGER search_text_insert AFTER INSERT ON search_entry BEGIN"
        " INSERT INTO search_text(rowid, terms) VALUES (new.id, new.terms); END"
    )
    op.execute(
        "CREATE TRIGGER search_text_delete AFTER DELETE ON search_entry BEGIN"
        " INSERT INTO search_text(search_text, rowid, terms) VALUES ('delete', old.id, old.terms); END"
    )
    op.execute(
        "CREATE TRIGGER search_text_update AFTER UPDATE ON search_entry BEGIN"
        " INSERT INTO search_text(search_text, rowid, terms) VALUES ('delete', old.id, old.terms);"
        " INSERT INTO search_text(rowid, terms) VALUES (new.id, new.terms); END"
    )


def downgrade() -> None:
    if op.get_bind().dialect.name == "sqlite":
        op.execute("DROP TABLE search_text")
    for table in (
        "search_entry", "turn_checkpoint", "turn", "message", "conversation", "password_reset",
        "browser_session", "bearer_token", "ledger_entry", "account", "user",
    ):  # fmt: skip
        op.drop_table(table)


def text(name: str, length: int, *, nullable: bool = False, primary_key: bool = False) -> sa.Column[Any]:
    return sa.Column(name, sa.String(length), nullable=nullable, primary_key=primary_key)


def number(name: str, *, nullable: bool = False) -> sa.Column[Any]:
    return sa.Column(name, sa.BigInteger(), nullable=nullable)


def belongs_to(table: str, parent: str) -> sa.ForeignKeyConstraint:
    column = f"{parent}_id"
    return sa.ForeignKeyConstraint([column], [f"{parent}.id"], name=f"fk_{table}_{column}", ondelete="CASCADE")


def index(table: str, *columns: str) -> None:
    op.create_index(f"ix_{table}_{'_'.join(columns)}", table, list(columns))
