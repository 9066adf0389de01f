"""A log's entries as bytes, for a store outside the process."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, get_args

import orjson

from services.events import Notice, ReasoningDelta, TextDelta, TurnEnded, Usage
from services.relay.log import Entry

REWIND = "rewind"
"""A kind beside the entries' own: its payload is the last offset that stays valid."""

_NOTICES: dict[str, Any] = {notice.kind: notice for notice in get_args(Notice)}


def packed(entry: Notice | TurnEnded) -> bytes:
    """The payload of an entry that stands for itself; its kind is written beside it."""
    return orjson.dumps(entry, default=dict)


def packed_pieces(pieces: Sequence[str]) -> bytes:
    """The payload of neighbouring pieces of one kind."""
    return orjson.dumps(pieces)


def unpacked(kind: str, payload: bytes) -> list[Entry]:
    """The entries of one payload.

    Raises:
        ValueError, TypeError, KeyError: Somebody else wrote it.
    """
    fields = orjson.loads(payload)
    if kind == "text":
        return [TextDelta(piece) for piece in fields]
    if kind == "reasoning":
        return [ReasoningDelta(piece) for piece in fields]
    if kind == TurnEnded.kind:
        return [TurnEnded(**{**fields, "usage": Usage(**fields["usage"])})]
    return [_NOTICES[kind](**fields)]
