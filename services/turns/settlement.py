"""What happens once at a turn's end: usage, charge, the stored answer. `docs/quota.md` has the rules."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace

import gevent
import orjson
from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from db.errors import DatabaseBusy
from db.models import Message, Turn, TurnCheckpoint
from db.unit_of_work import UnitOfWork
from services.clock import Clock
from services.conversations.conversations import Conversations
from services.errors import Internal
from services.events import TurnEnded, Usage
from services.notes import Notes
from services.quota.estimate import completion_tokens
from services.quota.ledger import Ledger, Quota
from services.relay.log import Overtaken
from services.relay.runner import Outcome
from services.turns.records import ending_of

logger = logging.getLogger(__name__)

PATIENCE_S = 25.0
"""A database that restarts is waited for before the ending is told; for one that stays away nobody is kept waiting."""
OWED_EVERY_S = 1.0
MAX_OWED = 500
"""Answers kept for a database that stays away; the next start ends the others by what was saved of them."""
NOT_STORED = "The answer could not be stored in time; it was not charged."


@dataclass(frozen=True, slots=True)
class _Settled:
    ended: TurnEnded
    user_id: str
    conversation: str
    version: int
    quota: Quota


class Settlement:
    """Pays and stores a turn in one transaction, keyed by its id: repeating it changes nothing."""

    def __init__(
        self,
        *,
        uow: UnitOfWork,
        ledger: Ledger,
        conversations: Conversations,
        notes: Notes,
        clock: Clock,
    ) -> None:
        self._uow = uow
        self._ledger = ledger
        self._conversations = conversations
        self._notes = notes
        self._clock = clock
        self._owed: dict[str, tuple[Usage, Outcome]] = {}
        """Turns whose endings were told and not stored, each as it is to be stored. Shared by every greenlet."""
        self._paying: gevent.Greenlet | None = None

    def settle(self, turn_id: str, outcome: Outcome, *, message_id: str = "", prompt_estimate: int = 0) -> TurnEnded:
        """Charge, store, tell the user's devices, and say how the turn ended.

        Whatever was reserved for the turn is settled: tokens by the usage, pictures by how many were made.

        Args:
            message_id: The message it fills, for the ending of a turn that cannot be stored.
            prompt_estimate: Our count of the prompt, for when the vendor told none.

        Returns:
            The ending as stored, by whoever was first. When the database stays away the turn ends `failed`, not
            charged, and is stored so, with its text, as soon as the database is back.

        Raises:
            Overtaken: Another worker has the turn, and will end it.
        """
        usage = usage_of(outcome, prompt_estimate)
        deadline, pause_s = self._clock.monotonic() + PATIENCE_S, 0.1
        error = Internal(NOT_STORED)
        while True:
            try:
                return self._settle_now(turn_id, usage, outcome)
            except DatabaseBusy as busy:
                logger.warning("turn %s is not settled yet: %s", turn_id, busy)
                if self._clock.monotonic() >= deadline:
                    failed = replace(outcome, status="failed", reason="internal", error=error, result=None)
                    self._owe(turn_id, usage, failed)
                    break
            except Overtaken:
                raise
            except Exception:
                logger.exception("turn %s cannot be settled", turn_id)
                break
            gevent.sleep(pause_s)
            pause_s = min(2 * pause_s, 2.0)
        return TurnEnded("failed", "internal", usage, 0, len(outcome.text), outcome.sha256, message_id, error.to_wire())

    def close(self) -> None:
        """Give up what is still owed; the next start ends it."""
        if self._paying is not None:
            self._paying.kill()

    def _settle_now(self, turn_id: str, usage: Usage, outcome: Outcome, *, free: bool = False) -> TurnEnded:
        settled = self._uow.run(lambda session: self._store(session, turn_id, usage, outcome, free))
        if settled.version:
            self._notes.conversation_changed(settled.user_id, settled.conversation, settled.version)
        self._notes.quota_changed(settled.user_id, tokens=settled.quota.tokens, pictures=settled.quota.pictures)
        return settled.ended

    def _owe(self, turn_id: str, usage: Usage, failed: Outcome) -> None:
        """Never yields."""
        if len(self._owed) < MAX_OWED:
            self._owed[turn_id] = usage, failed
            if not self._paying:
                self._paying = gevent.spawn(self._pay)

    def _pay(self) -> None:
        """Until then the conversation waits for its answer, and the account for what was set aside."""
        while self._owed:
            gevent.sleep(OWED_EVERY_S)
            for turn_id, (usage, failed) in list(self._owed.items()):
                try:
                    self._settle_now(turn_id, usage, failed, free=True)
                except DatabaseBusy:
                    break
                except Overtaken:
                    logger.info("turn %s was ended by another worker", turn_id)
                except Exception:
                    logger.exception("turn %s cannot be settled", turn_id)
                del self._owed[turn_id]

    def _store(self, session: Session, turn_id: str, usage: Usage, outcome: Outcome, free: bool) -> _Settled:
        turn = session.execute(select(Turn).where(Turn.id == turn_id).with_for_update()).scalar_one()
        if turn.fence > outcome.fence:
            raise Overtaken(turn_id)
        if turn.status == "running":
            self._end(session, turn, usage, outcome, free)
            self._keep(session, turn, usage, outcome)
            session.execute(delete(TurnCheckpoint).where(TurnCheckpoint.turn_id == turn_id))
        version = self._conversations.touch(session, turn.conversation_id) if turn.conversation_id else 0
        quota = self._ledger.balance(session, turn.user_id)
        return _Settled(ending_of(turn, error=outcome.error), turn.user_id, turn.conversation_id, version, quota)

    def _end(self, session: Session, turn: Turn, usage: Usage, outcome: Outcome, free: bool) -> None:
        """Charge what was reserved, or give it all back, and write the ending into the turn's row."""
        now_ms = self._clock.now_ms()
        for kind in self._ledger.reserved_kinds(session, turn.id):
            charge = 0 if free else usage.total_tokens if kind == "tokens" else pictures_of(outcome)
            charged = self._ledger.settle(
                session, turn_id=turn.id, kind=kind, charge=charge, now_ms=now_ms, note=outcome.status
            )
            if kind == "tokens":
                turn.charged = charged
        turn.status, turn.reason = outcome.status, outcome.reason
        turn.error_code = outcome.error.code if outcome.error else ""
        turn.epoch, turn.end_offset = outcome.epoch, outcome.offset
        turn.length, turn.sha256 = len(outcome.text), outcome.sha256
        turn.prompt_tokens, turn.completion_tokens = usage.prompt_tokens, usage.completion_tokens
        turn.estimated = usage.estimated
        turn.audio_ms = usage.audio_ms or 0
        turn.ended_ms = now_ms
        turn.result = orjson.dumps(dict(outcome.result)).decode() if outcome.result else None

    def _keep(self, session: Session, turn: Turn, usage: Usage, outcome: Outcome) -> None:
        """Store the text: in the message it answers with, or on the turn where there is none."""
        if not turn.message_id:
            turn.text = outcome.text
            return
        message = session.get(Message, turn.message_id)
        if message is None:
            return  # the conversation was deleted meanwhile
        message.text, message.reasoning = outcome.text, outcome.reasoning
        message.status = outcome.status
        message.prompt_tokens, message.completion_tokens = usage.prompt_tokens, usage.completion_tokens
        message.charged = turn.charged
        session.flush()
        self._conversations.index_message(session, message)


def pictures_of(outcome: Outcome) -> int:
    """Pictures to charge: those made, or one for a reading that succeeded; none for anything else."""
    if outcome.status != "done":
        return 0
    return len((outcome.result or {}).get("pictures", [None]))


def usage_of(outcome: Outcome, prompt_estimate: int) -> Usage:
    """What is charged: the vendor's figure; else our count of what was shown; nothing when nothing was."""
    if outcome.usage is not None:
        return outcome.usage
    if outcome.pieces == 0 and outcome.status != "done":
        return Usage(estimated=True)
    return Usage(prompt_estimate, completion_tokens(outcome.text + outcome.reasoning), estimated=True)
