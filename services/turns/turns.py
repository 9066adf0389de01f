"""The turns of this worker, of every kind: begun once, followed from anywhere, stopped by anyone they belong to."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

import gevent
from gevent.event import AsyncResult
from sqlalchemy import ColumnElement, select

from config import TurnSettings
from db.models import Message, Turn
from db.unit_of_work import UnitOfWork
from services.clock import Clock
from services.errors import NotFound, ServerBusy
from services.identity import Identity
from services.relay.log import Position, TurnLog
from services.relay.memory_log import MemoryLogs
from services.relay.redis_log import RedisLog
from services.relay.redis_logs import RedisLogs
from services.relay.runner import Runner
from services.relay.watchdog import Deadline, Limits, Watchdog
from services.telemetry.metrics import Metrics
from services.turns.admission import Admission
from services.turns.checkpoints import Checkpoints
from services.turns.following import Following, follow
from services.turns.handing import Handing
from services.turns.records import archived, known_turn
from services.turns.running import Launch, RemoteTurn, RunningTurn, Stopped, await_ending, note_ending

logger = logging.getLogger(__name__)

WAIT_S = 60.0
"""How long an ending, or another's start, is waited for: longer than a settlement that waits for its database."""

FIND_S = 2.0
"""How long a turn that another worker has just begun is looked for."""

STOP_S = 1.0
"""After so long a worker that was asked to stop a turn is asked again."""

START = Position(1, 0)


class _Beginning:
    """A start under way: others with the same `client_id` wait for it, and a stop can reach it."""

    def __init__(self) -> None:
        self.stop_asked = False
        self.result: AsyncResult[Following] = AsyncResult()

    def wait(self) -> Following:
        """What the start came to, or its error.

        Raises:
            ServerBusy: It takes longer than `WAIT_S`.
        """
        if not self.result.wait(WAIT_S) and not self.result.ready():
            raise ServerBusy("The start of this turn takes too long; try again.", retry_after_s=5)
        following: Following = self.result.get()
        return following


class Turns:
    """Runs turns and finds them again.

    Attributes:
        handing: How turns go from worker to worker; None where there is one worker.

    Shared state: `_running` (turn id) and `_beginning` (user and client id). Both are read and written without a
    yield in between; the database's unique constraint decides between processes.
    """

    def __init__(
        self,
        *,
        uow: UnitOfWork,
        admission: Admission,
        logs: MemoryLogs | RedisLogs,
        watchdog: Watchdog,
        checkpoints: Checkpoints,
        clock: Clock,
        settings: TurnSettings,
        metrics: Metrics,
    ) -> None:
        self._uow = uow
        self._admission = admission
        self._logs = logs
        self._watchdog = watchdog
        self._checkpoints = checkpoints
        self._clock = clock
        self._limits = Limits(settings.first_piece_s, settings.idle_s, settings.total_s)
        self._metrics = metrics
        self._running: dict[str, RunningTurn] = {}
        self._beginning: dict[tuple[str, str], _Beginning] = {}
        self.handing: Handing | None = None
        if isinstance(logs, RedisLogs):
            logs.on_stop = self._stop_here
            self.handing = Handing(logs, uow, self._running, lambda: bool(self._beginning))

    def once(self, identity: Identity, client_id: str, begin: Callable[[], RunningTurn | None]) -> Following:
        """Begin a turn, or find the one this `client_id` means already.

        Args:
            begin: Opens and launches it; None when another process was quicker with the same `client_id`.

        Raises:
            ChatError: `begin` refused; nothing was kept, and the `client_id` is free.
        """
        key = (identity.user_id, client_id)
        if (other := self._beginning.get(key)) is not None:
            return other.wait()
        beginning = self._beginning[key] = _Beginning()
        try:
            following = self._known(identity, client_id) or self._begin(identity, client_id, begin, beginning)
        except BaseException as error:
            beginning.result.set_exception(error)
            raise
        finally:
            del self._beginning[key]
        beginning.result.set(following)
        return following

    def launch(self, launch: Launch) -> RunningTurn:
        """Spawn the runner. Never yields: the turn is found from the moment it exists.

        The caller has had it admitted; its place is given back at its end.
        """
        log = self._logs.open(launch.turn_id, launch.order)
        return self._launch(launch, log)

    def resume(self, launch: Launch, log: RedisLog, *, goes_on: bool, interrupted: bool = False) -> RunningTurn:
        """Run a turn that was another worker's. Never yields.

        Args:
            goes_on: The stream continues the text of `log`; else it begins anew after what `log` still has.
            interrupted: End it at once; the stream is not asked.
        """
        self._admission.adopt(launch.user_id)
        return self._launch(launch, log, resumes=goes_on, interrupted=interrupted)

    def _launch(
        self,
        launch: Launch,
        log: TurnLog,
        *,
        resumes: bool = False,
        interrupted: bool = False,
    ) -> RunningTurn:
        began = self._clock.monotonic()

        def ended() -> None:
            note_ending(launch, log, self._clock.monotonic() - began)
            del self._running[launch.turn_id]
            self._checkpoints.remove(launch.turn_id)
            if log.ended is not None:
                self._logs.release(launch.turn_id)
            else:
                launch.on_left()
            self._admission.leave(launch.user_id)

        runner = Runner(
            log,
            stream=launch.stream,
            meter=launch.meter,
            settle=launch.settle,
            deadline=Deadline(self._clock, launch.limits or self._limits),
            watchdog=self._watchdog,
            metrics=self._metrics,
            on_end=ended,
            resumes=resumes,
        )
        running = RunningTurn(launch.user_id, launch.conversation, launch.message, runner, launch)
        self._running[launch.turn_id] = running
        self._checkpoints.add(log)
        if isinstance(log, RedisLog):
            log.on_overtaken = runner.let_go
            log.patience_ms = launch.patience_ms
        if interrupted:
            runner.stop("interrupted", "shutdown")
        runner.start()
        return running

    def attach(self, identity: Identity, turn_id: str, position: Position) -> Following:
        """Follow a turn of the user's from a position.

        Raises:
            NotFound: No such turn, or another user's.
            ServerBusy: Another worker writes it now, and what it writes cannot be read.
        """
        if (running := self._mine(identity, turn_id)) is not None:
            return _follow(running, position)
        with self._uow.read() as session:
            turn = session.scalar(select(Turn).where(Turn.id == turn_id, Turn.user_id == identity.user_id))
        if turn is None:
            raise NotFound("There is no such turn.", field="turn")
        return self._stored(turn, position)

    def stop(self, identity: Identity, *, turn_id: str | None = None, client_id: str | None = None) -> Stopped:
        """End a turn of the user's; waits until its last entry is written.

        Args:
            client_id: Reaches a turn whose start is still under way, too.

        Raises:
            NotFound: No such turn, or another user's.
            ServerBusy: The ending could not be stored in time.
        """
        if turn_id is None:
            turn_id = self._turn_of(identity, client_id or "")
        until = time.monotonic() + WAIT_S
        while (log := self._stop_once(identity, turn_id)).ended is None:
            if time.monotonic() > until:
                raise ServerBusy("The answer was asked to stop, but has not ended yet.", retry_after_s=5)
            gevent.sleep(0.1)
        return Stopped(turn_id, log.ended.status, log.offset, log.ended.length)

    def running(self, identity: Identity) -> list[RunningTurn | RemoteTurn]:
        """The user's turns that run now, on any worker, oldest first."""
        mine: list[RunningTurn | RemoteTurn] = [*self.running_here(identity)]
        if isinstance(self._logs, RedisLogs):
            mine += self._elsewhere(Turn.user_id == identity.user_id)
        return sorted(mine, key=lambda turn: turn.log.turn_id)

    def running_here(self, identity: Identity) -> list[RunningTurn]:
        """Those of them that this worker runs."""
        return [turn for turn in self._running.values() if turn.user_id == identity.user_id]

    def stop_conversation(self, conversation: str) -> None:
        """End every turn of a conversation, before it is deleted."""
        turns = [turn for turn in self._running.values() if turn.conversation == conversation]
        for turn in turns:
            turn.runner.stop()
        if isinstance(self._logs, RedisLogs):
            for remote in self._elsewhere(Turn.conversation_id == conversation):
                self._logs.ask_to_stop(remote.log.turn_id)
                await_ending(remote.log, STOP_S)
        for turn in turns:
            turn.runner.wait(WAIT_S)

    @property
    def draining(self) -> bool:
        """Whether new turns are refused because the server stops."""
        return self._admission.draining

    def drain(self, grace_s: float) -> None:
        """Refuse new turns and hand running ones to other workers; else give them `grace_s`, then end what is left as
        interrupted."""
        self._admission.drain()
        until = time.monotonic() + grace_s
        if self.handing is not None:
            self.handing.hand_over(until)
        with gevent.Timeout(max(0.0, until - time.monotonic()), False):
            for turn in list(self._running.values()):
                turn.runner.wait(grace_s)
        left = list(self._running.values())
        for turn in left:
            turn.runner.stop("interrupted", "shutdown")
        for turn in left:
            turn.runner.wait(5)

    def __len__(self) -> int:
        return len(self._running)

    def __contains__(self, turn_id: object) -> bool:
        return turn_id in self._running

    def _stop_once(self, identity: Identity, turn_id: str) -> TurnLog:
        """Have whoever runs the turn end it, and wait a while; a request may be lost with the worker that got it."""
        if (running := self._mine(identity, turn_id)) is not None:
            running.runner.stop()
            running.runner.wait(WAIT_S)
        log = self.attach(identity, turn_id, START).log
        if log.ended is None and isinstance(self._logs, RedisLogs):
            self._logs.ask_to_stop(turn_id)
            await_ending(log, STOP_S)
        return log

    def _stop_here(self, turn_id: str) -> None:
        if (running := self._running.get(turn_id)) is not None:
            running.runner.stop()

    def _elsewhere(self, condition: ColumnElement[bool]) -> list[RemoteTurn]:
        with self._uow.read() as session:
            rows = session.scalars(select(Turn).where(condition, Turn.status == "running")).all()
        return [
            RemoteTurn(row.conversation_id, row.message_id, log)
            for row in rows
            if row.id not in self._running and (log := self._logs.find(row.id)) is not None and log.ended is None
        ]

    def _mine(self, identity: Identity, turn_id: str) -> RunningTurn | None:
        running = self._running.get(turn_id)
        return running if running is not None and running.user_id == identity.user_id else None

    def _begin(
        self, identity: Identity, client_id: str, begin: Callable[[], RunningTurn | None], beginning: _Beginning
    ) -> Following:
        running = begin()
        if running is None:
            if (known := self._known(identity, client_id)) is None:
                raise ServerBusy("Another server has just begun this; try again.", retry_after_s=1)
            return known
        if beginning.stop_asked:
            running.runner.stop()
        return _follow(running, START)

    def _known(self, identity: Identity, client_id: str) -> Following | None:
        with self._uow.read() as session:
            turn = known_turn(session, identity.user_id, client_id, self._clock.now_ms())
        return self._stored(turn, START) if turn is not None else None

    def _turn_of(self, identity: Identity, client_id: str) -> str:
        if (beginning := self._beginning.get((identity.user_id, client_id))) is not None:
            beginning.stop_asked = True
            return beginning.wait().log.turn_id
        with self._uow.read() as session:
            turn = known_turn(session, identity.user_id, client_id, self._clock.now_ms())
        if turn is None:
            raise NotFound("There is no such turn.", field="client_id")
        return turn.id

    def _stored(self, turn: Turn, position: Position) -> Following:
        """A turn from its row: its log while it is kept, else what the database has. No session is open meanwhile."""
        until = time.monotonic() + FIND_S
        log: TurnLog | None
        while (log := self._logs.find(turn.id)) is None:
            with self._uow.read() as session:
                row = session.get(Turn, turn.id)
                if row is not None and row.status != "running":
                    log = archived(row, session.get(Message, row.message_id))
                    break
            if row is None:
                raise NotFound("There is no such turn.", field="turn")
            if not isinstance(self._logs, RedisLogs) or time.monotonic() > until:
                raise ServerBusy("This answer is being written by another server; try again.", retry_after_s=2)
            gevent.sleep(0.05)  # it was begun this very moment, or Redis is away
        return follow(log, position, conversation=turn.conversation_id, message=turn.message_id)


def _follow(running: RunningTurn, position: Position) -> Following:
    return follow(running.runner.log, position, conversation=running.conversation, message=running.message)
