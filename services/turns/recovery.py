"""Ends the turns that a previous run of this server left running, once."""

from __future__ import annotations

import hashlib
import logging

from sqlalchemy import delete, select

from db.models import Turn, TurnCheckpoint
from db.unit_of_work import UnitOfWork
from services.errors import Interrupted, by_code
from services.relay.runner import Outcome
from services.turns.settlement import Settlement

logger = logging.getLogger(__name__)


class Recovery:
    """Runs at start, before the port opens, where no other worker goes on with what this server left."""

    def __init__(self, *, uow: UnitOfWork, settlement: Settlement, owner: str) -> None:
        self._uow = uow
        self._settlement = settlement
        self._owner = owner

    def run(self) -> int:
        """Settle each of this owner's running turns as `interrupted`, with the text that was saved.

        The new epoch tells a viewer that what it saw beyond the last save is void.

        Returns:
            How many turns were ended.
        """
        with self._uow.read() as session:
            left = session.execute(
                select(Turn.id, Turn.prompt_tokens, Turn.epoch, Turn.fence).where(
                    Turn.status == "running", Turn.owner == self._owner
                )
            ).all()
        for turn_id, prompt_estimate, epoch, fence in left:
            self._settlement.settle(turn_id, self.outcome(turn_id, epoch, fence), prompt_estimate=prompt_estimate)
        if left:
            logger.warning("%d answers had been cut short by the last stop; they ended as interrupted", len(left))
        self.sweep()
        return len(left)

    def sweep(self) -> None:
        """Forget what was saved of turns that have ended."""
        with self._uow() as session:
            ended = select(Turn.id).where(Turn.status != "running")
            session.execute(delete(TurnCheckpoint).where(TurnCheckpoint.turn_id.in_(ended)))

    def outcome(self, turn_id: str, epoch: int, fence: int) -> Outcome:
        """How a turn ends of which only its checkpoints are left."""
        with self._uow.read() as session:
            saved = session.scalars(
                select(TurnCheckpoint).where(TurnCheckpoint.turn_id == turn_id).order_by(TurnCheckpoint.offset)
            ).all()
        text = "".join(row.text for row in saved)
        reasoning = "".join(row.reasoning for row in saved)
        return Outcome(
            status="interrupted",
            reason="shutdown",
            epoch=epoch + 1,
            offset=(saved[-1].offset if saved else 0) + 1,
            usage=None,
            pieces=len(saved) if text or reasoning else 0,
            text=text,
            reasoning=reasoning,
            sha256=hashlib.sha256(text.encode()).hexdigest(),
            error=by_code(Interrupted.code),
            fence=fence,
        )
