"""Stored turns as the relay sees them: their ending, and a log that holds nothing else."""

from __future__ import annotations

from typing import Any, cast

import orjson
from sqlalchemy import CursorResult, select, update
from sqlalchemy.orm import Session

from db.models import Message, Turn
from services.errors import ChatError, by_code
from services.events import Reason, Status, TurnEnded, Usage
from services.relay.archived_log import ArchivedLog

IDEMPOTENT_MS = 24 * 60 * 60 * 1000
"""How long a `client_id` means the same turn."""


def known_turn(session: Session, user_id: str, client_id: str, now_ms: int) -> Turn | None:
    """The turn this `client_id` means already."""
    return session.scalar(
        select(Turn).where(
            Turn.user_id == user_id, Turn.client_id == client_id, Turn.created_ms >= now_ms - IDEMPOTENT_MS
        )
    )


def free_old_name(session: Session, user_id: str, client_id: str, now_ms: int) -> None:
    """Let go of a `client_id` that has meant a turn for longer than a day."""
    session.execute(
        update(Turn)
        .where(Turn.user_id == user_id, Turn.client_id == client_id, Turn.created_ms < now_ms - IDEMPOTENT_MS)
        .values(client_id=None)
    )


def note_owner(session: Session, turn_id: str, fence: int, owner: str) -> bool:
    """Write a running turn's new owner into its row, where no later one stands; False when it is settled."""
    mine = (
        update(Turn)
        .where(Turn.id == turn_id, Turn.status == "running", Turn.fence < fence)
        .values(fence=fence, owner=owner)
    )
    return bool(cast(CursorResult[Any], session.execute(mine)).rowcount)


def ending_of(turn: Turn, *, error: ChatError | None = None) -> TurnEnded:
    """The ending of a settled turn. `error` is the error itself while it is at hand; later only its code is known."""
    if error is None and turn.error_code:
        error = by_code(turn.error_code)
    return TurnEnded(
        status=cast(Status, turn.status),
        reason=cast(Reason, turn.reason),
        usage=Usage(
            turn.prompt_tokens, turn.completion_tokens, turn.estimated, turn.audio_ms if turn.kind == "voice" else None
        ),
        charged=turn.charged,
        length=turn.length,
        sha256=turn.sha256,
        message=turn.message_id,
        error=error.to_wire() if error is not None else None,
        result=orjson.loads(turn.result) if turn.result else None,
    )


def archived(turn: Turn, message: Message | None) -> ArchivedLog:
    """The log of a turn that the relay has forgotten; without text when its conversation was deleted."""
    text = message.text if message is not None else turn.text
    return ArchivedLog(
        turn.id,
        epoch=turn.epoch,
        offset=turn.end_offset,
        text=text or "",
        reasoning=message.reasoning if message is not None else "",
        ended=ending_of(turn),
    )
