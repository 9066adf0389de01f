"""Which parts of a database Alembic compares with the models."""

from __future__ import annotations

from typing import Any


def is_ours(_thing: Any, name: str | None, *_: Any) -> bool:
    """Leave out what the models cannot say: the full-text index, FTS5's own tables."""
    return not (name or "").startswith("search_text")
