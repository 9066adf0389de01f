"""Turns outside any conversation: one row, paid in pictures, with what came of them kept on the row itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from db.models import Turn
from db.unit_of_work import UnitOfWork
from services.clock import Clock
from services.ids import new_id
from services.notes import Notes
from services.quota.ledger import Ledger, Quota
from services.relay.runner import ProviderEvent
from services.relay.watchdog import Deadline, Limits
from services.turns.admission import Admission
from services.turns.records import free_old_name
from services.turns.running import Launch, RunningTurn
from services.turns.settlement import Settlement
from services.turns.turns import Turns


@dataclass(frozen=True, slots=True)
class Bare:
    """What a turn outside any conversation is made of.

    Attributes:
        kind: `read` or `draw`, as the row has it.
        picture: The picture it is about; empty for none.
        pictures: Set aside before it begins; what is charged depends on its ending.
        model: As users know it.
    """

    user_id: str
    client_id: str
    kind: str
    model: str
    pictures: int
    limits: Limits
    stream: Callable[[Deadline], Iterator[ProviderEvent]]
    picture: str = ""


class BareTurns:
    """Opens and launches them."""

    def __init__(
        self,
        *,
        turns: Turns,
        uow: UnitOfWork,
        ledger: Ledger,
        settlement: Settlement,
        admission: Admission,
        notes: Notes,
        clock: Clock,
        owner: str,
    ) -> None:
        self._turns = turns
        self._uow = uow
        self._ledger = ledger
        self._settlement = settlement
        self._admission = admission
        self._notes = notes
        self._clock = clock
        self._owner = owner

    def begin(self, user_id: str, prepare: Callable[[], Bare]) -> RunningTurn | None:
        """Have a turn admitted, prepared, opened and launched; None when another process was quicker.

        Args:
            prepare: May take its time and refuse; what it keeps it must give up when the turn is refused after it.

        Raises:
            ChatError: Refused; nothing was stored or reserved.
        """
        self._admission.enter(user_id)
        try:
            bare = prepare()
            turn_id = new_id("t")
            quota = self._uow.run(lambda session: self._open(session, turn_id, bare))
        except BaseException as error:
            self._admission.leave(user_id)
            if isinstance(error, IntegrityError):
                return None
            raise
        running = self._turns.launch(
            Launch(
                user_id=user_id,
                turn_id=turn_id,
                conversation="",
                message="",
                stream=bare.stream,
                meter=Unmetered(),
                settle=lambda outcome: self._settlement.settle(turn_id, outcome),
                limits=bare.limits,
            )
        )
        if bare.pictures:
            self._notes.quota_changed(user_id, tokens=quota.tokens, pictures=quota.pictures)
        return running

    def _open(self, session: Session, turn_id: str, bare: Bare) -> Quota:
        now_ms = self._clock.now_ms()
        free_old_name(session, bare.user_id, bare.client_id, now_ms)
        if bare.pictures:
            self._ledger.reserve(
                session,
                user_id=bare.user_id,
                turn_id=turn_id,
                kind="pictures",
                want=bare.pictures,
                at_least=bare.pictures,
                now_ms=now_ms,
            )
        session.add(
            Turn(
                id=turn_id,
                user_id=bare.user_id,
                client_id=bare.client_id,
                kind=bare.kind,
                conversation_id="",
                message_id="",
                picture_id=bare.picture,
                model=bare.model,
                status="running",
                owner=self._owner,
                created_ms=now_ms,
            )
        )
        session.flush()
        return self._ledger.balance(session, bare.user_id)


class Unmetered:
    """A `services.relay.runner.Meter` of what is not paid by its length."""

    def spend(self, text: str) -> None:
        return None
