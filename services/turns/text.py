"""Text turns: start, answer again, attach, stop."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import gevent
from gevent.event import AsyncResult
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from config import TurnSettings
from db.models import Message, Turn
from db.unit_of_work import UnitOfWork
from services.clock import Clock
from services.errors import NotFound, ServerBusy
from services.events import TurnEnded
from services.identity import Identity
from services.notes import Notes
from services.providers.base import ChatRequest, ModelCard
from services.providers.catalogue import Catalogue
from services.providers.route import Route
from services.quota.ledger import Ledger
from services.relay.log import Position, TurnLog
from services.relay.memory_log import MemoryLogs
from services.relay.runner import Outcome, Runner
from services.relay.watchdog import Deadline, Limits, Watchdog
from services.telemetry.metrics import Metrics
from services.turns.admission import Admission
from services.turns.checkpoints import Checkpoints
from services.turns.following import Following, follow
from services.turns.meter import TokenMeter
from services.turns.opening import Opened, Opening
from services.turns.records import archived
from services.turns.request import AgainRequest, TextRequest
from services.turns.settlement import Settlement

STOP_WAIT_S = 60.0
"""How long `stop` waits for the ending: longer than a settlement that waits for its database."""


@dataclass(slots=True)
class RunningTurn:
    """A turn that this process runs."""

    user_id: str
    conversation: str
    message: str
    runner: Runner

    def to_wire(self) -> dict[str, Any]:
        log = self.runner.log
        return {
            "turn": log.turn_id,
            "conversation": self.conversation,
            "message": self.message,
            "epoch": log.epoch,
            "offset": log.offset,
        }


@dataclass(frozen=True, slots=True)
class Stopped:
    """A turn that has ended, by the stop or before it."""

    turn: str
    status: str
    offset: int
    length: int


class _Starting:
    """A start under way: others with the same `client_id` wait for it, and a stop can reach it."""

    def __init__(self) -> None:
        self.stop_asked = False
        self.result: AsyncResult[Following] = AsyncResult()


class TextTurns:
    """Starts and ends text turns.

    Shared state: `_running` (turn id) and `_starting` (user and client id). Both are read and written without a
    yield in between; the database's unique constraint decides between processes.
    """

    def __init__(
        self,
        *,
        uow: UnitOfWork,
        opening: Opening,
        settlement: Settlement,
        admission: Admission,
        catalogue: Catalogue,
        ledger: Ledger,
        logs: MemoryLogs,
        watchdog: Watchdog,
        checkpoints: Checkpoints,
        notes: Notes,
        clock: Clock,
        settings: TurnSettings,
        metrics: Metrics,
    ) -> None:
        self._uow = uow
        self._opening = opening
        self._settlement = settlement
        self._admission = admission
        self._catalogue = catalogue
        self._ledger = ledger
        self._logs = logs
        self._watchdog = watchdog
        self._checkpoints = checkpoints
        self._notes = notes
        self._clock = clock
        self._settings = settings
        self._limits = Limits(settings.first_piece_s, settings.idle_s, settings.total_s)
        self._metrics = metrics
        self._running: dict[str, RunningTurn] = {}
        self._starting: dict[tuple[str, str], _Starting] = {}

    def start(self, identity: Identity, request: TextRequest) -> Following:
        """Ask a model. The same `client_id` within 24 hours gives the same turn.

        Raises:
            ChatError: Refused; nothing was stored or reserved, and the `client_id` is free.
        """
        return self._once(
            identity,
            request.client_id,
            request.model,
            lambda session, card: self._opening.ask(session, identity, request, card),
            lambda opened: self._ask(identity, request, opened),
        )

    def again(self, identity: Identity, again: AgainRequest) -> Following:
        """Answer a question once more; a new turn and a new message beside the first."""
        return self._once(
            identity,
            again.client_id,
            again.model,
            lambda session, card: self._opening.again(session, identity, again, card),
            lambda opened: self._ask(identity, TextRequest(again.client_id, ""), opened),
        )

    def attach(self, identity: Identity, turn_id: str, position: Position) -> Following:
        """Follow a turn of the user's from a position.

        Raises:
            NotFound: No such turn, or another user's.
        """
        if (running := self._running.get(turn_id)) is not None and running.user_id == identity.user_id:
            return follow(
                running.runner.log, position, conversation=running.conversation, message=running.message
            )
        with self._uow.read() as session:
            turn = session.scalar(select(Turn).where(Turn.id == turn_id, Turn.user_id == identity.user_id))
            if turn is None:
                raise NotFound("There is no such turn.", field="turn")
            return self._stored(session, turn, position)

    def stop(
        self, identity: Identity, *, turn_id: str | None = None, client_id: str | None = None
    ) -> Stopped:
        """End a turn of the user's, wherever it is; waits until its last entry is written.

        Raises:
            NotFound: No such turn, or another user's.
            ServerBusy: The ending could not be stored in time.
        """
        if turn_id is None:
            starting = self._starting.get((identity.user_id, client_id or ""))
            if starting is not None:
                starting.stop_asked = True
                turn_id = starting.result.get(timeout=STOP_WAIT_S).log.turn_id
            else:
                turn_id = self._turn_of(identity, client_id or "")
        running = self._running.get(turn_id)
        if running is not None and running.user_id == identity.user_id:
            running.runner.stop()
            if running.runner.wait(STOP_WAIT_S) is None:
                raise ServerBusy("The answer has stopped, but is not stored yet.", retry_after_s=5)
        log = self.attach(identity, turn_id, Position(1, 0)).log
        if log.ended is None:
            raise ServerBusy("This answer is written by another server; try again.", retry_after_s=1)
        return Stopped(turn_id, log.ended.status, log.offset, log.ended.length)

    def running(self, identity: Identity) -> list[RunningTurn]:
        """The user's turns that run now, oldest first."""
        mine = [turn for turn in self._running.values() if turn.user_id == identity.user_id]
        return sorted(mine, key=lambda turn: turn.runner.log.turn_id)

    def stop_conversation(self, conversation: str) -> None:
        """End every turn of a conversation, before it is deleted."""
        turns = [turn for turn in self._running.values() if turn.conversation == conversation]
        for turn in turns:
            turn.runner.stop()
        for turn in turns:
            turn.runner.wait(STOP_WAIT_S)

    @property
    def draining(self) -> bool:
        """Whether the server is about to stop and takes no more turns."""
        return self._admission.draining

    def drain(self, grace_s: float) -> None:
        """Refuse new turns, give running ones `grace_s`, then end what is left as interrupted."""
        self._admission.drain()
        with gevent.Timeout(grace_s, False):
            for turn in list(self._running.values()):
                turn.runner.wait(grace_s)
        left = list(self._running.values())
        for turn in left:
            turn.runner.stop("interrupted", "shutdown")
        for turn in left:
            turn.runner.wait(5)

    def __len__(self) -> int:
        return len(self._running)

    def _once(
        self,
        identity: Identity,
        client_id: str,
        model: str | None,
        open_turn: Callable[[Session, ModelCard], Opened],
        ask: Callable[[Opened], ChatRequest],
    ) -> Following:
        """Open and run a turn, or find the one this `client_id` means already."""
        key = (identity.user_id, client_id)
        if (other := self._starting.get(key)) is not None:
            started: Following = other.result.get(timeout=STOP_WAIT_S)
            return started
        starting = self._starting[key] = _Starting()
        try:
            following = self._known(identity, client_id) or self._begin(
                identity, client_id, model, open_turn, ask, starting
            )
        except BaseException as error:
            starting.result.set_exception(error)
            raise
        finally:
            del self._starting[key]
        starting.result.set(following)
        return following

    def _known(self, identity: Identity, client_id: str) -> Following | None:
        with self._uow.read() as session:
            turn = self._opening.known(session, identity.user_id, client_id)
            return self._stored(session, turn, Position(1, 0)) if turn is not None else None

    def _begin(
        self,
        identity: Identity,
        client_id: str,
        model: str | None,
        open_turn: Callable[[Session, ModelCard], Opened],
        ask: Callable[[Opened], ChatRequest],
        starting: _Starting,
    ) -> Following:
        route = self._catalogue.find(model if model is not None else self._catalogue.default().id)

        def work(session: Session) -> Opened:
            self._opening.known(session, identity.user_id, client_id)  # gives a name older than a day free
            return open_turn(session, route.card)

        self._admission.enter(identity.user_id)
        try:
            opened = self._uow.run(work)
        except BaseException as error:
            self._admission.leave(identity.user_id)
            if isinstance(error, IntegrityError) and (known := self._known(identity, client_id)) is not None:
                return known  # another process was quicker
            raise
        running = self._run(identity, opened, route, ask(opened))
        if starting.stop_asked:
            running.runner.stop()
        self._notes.conversation_changed(identity.user_id, opened.conversation, opened.version, title=opened.title)
        self._notes.quota_changed(identity.user_id, tokens=opened.quota.tokens, pictures=opened.quota.pictures)
        return follow(
            running.runner.log, Position(1, 0), conversation=opened.conversation, message=opened.message
        )

    def _run(self, identity: Identity, opened: Opened, route: Route, request: ChatRequest) -> RunningTurn:
        """Spawn the runner. Nothing here yields: the turn is in `_running` before anyone can ask for it."""
        log = self._logs.open(opened.turn_id)

        def settle(outcome: Outcome) -> TurnEnded:
            if opened.short and outcome.reason == "length":
                outcome = replace(outcome, reason="quota")
            return self._settlement.settle(opened.turn_id, opened.message, opened.prompt_estimate, outcome)

        def ended() -> None:
            del self._running[opened.turn_id]
            self._checkpoints.remove(opened.turn_id)
            self._logs.release(opened.turn_id)
            self._admission.leave(identity.user_id)

        runner = Runner(
            log,
            stream=lambda deadline: route.stream(request, deadline),
            meter=TokenMeter(turn_id=opened.turn_id, granted=opened.granted, ledger=self._ledger, uow=self._uow),
            settle=settle,
            deadline=Deadline(self._clock, self._limits),
            watchdog=self._watchdog,
            metrics=self._metrics,
            on_end=ended,
        )
        running = RunningTurn(identity.user_id, opened.conversation, opened.message, runner)
        self._running[opened.turn_id] = running
        self._checkpoints.add(log)
        runner.start()
        return running

    def _ask(self, identity: Identity, request: TextRequest, opened: Opened) -> ChatRequest:
        temperature = request.temperature if request.temperature is not None else self._settings.temperature
        return ChatRequest(
            model="",  # each member of the route's chain puts its own
            messages=opened.messages,
            temperature=temperature,
            top_p=request.top_p,
            max_tokens=opened.granted,
            user=identity.user_id,
        )

    def _stored(self, session: Session, turn: Turn, position: Position) -> Following:
        """A turn from its row: its log while it is kept, else what the database has."""
        log: TurnLog | None = self._logs.find(turn.id)
        if log is None:
            if turn.status == "running":
                raise ServerBusy("This answer is being written by another server; try again.", retry_after_s=2)
            log = archived(turn, session.get(Message, turn.message_id))
        return follow(log, position, conversation=turn.conversation_id, message=turn.message_id)

    def _turn_of(self, identity: Identity, client_id: str) -> str:
        with self._uow.read() as session:
            turn = self._opening.known(session, identity.user_id, client_id)
        if turn is None:
            raise NotFound("There is no such turn.", field="client_id")
        return turn.id
