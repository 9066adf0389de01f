"""The turns of this worker, of every kind: begun once, followed from anywhere, stopped by anyone they belong to."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import gevent
from gevent.event import AsyncResult, Event
from gevent.pool import Pool
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
from services.relay.runner import Meter, ProviderEvent, Runner, Settle
from services.relay.watchdog import Deadline, Limits, Watchdog
from services.telemetry.metrics import Metrics
from services.turns.admission import Admission
from services.turns.checkpoints import Checkpoints
from services.turns.following import Following, follow
from services.turns.records import archived, known_turn, note_owner

logger = logging.getLogger(__name__)

WAIT_S = 60.0
"""How long an ending, or another's start, is waited for: longer than a settlement that waits for its database."""

FIND_S = 2.0
"""How long a turn that another worker has just begun is looked for."""

STOP_S = 1.0
"""After so long a worker that was asked to stop a turn is asked again."""

FETCH_S = 10.0
"""How long a turn that another worker runs is asked for."""

HAND_OVER_S = 5.0
"""How long the end of a turn that is being settled is waited for, before it is left to itself."""

HAND_OVER_AT_ONCE = 16

START = Position(1, 0)


@dataclass(frozen=True, slots=True)
class Launch:
    """A turn that has its rows and its reservation, and what it is made of."""

    user_id: str
    turn_id: str
    conversation: str
    message: str
    stream: Callable[[Deadline], Iterator[ProviderEvent]]
    meter: Meter
    settle: Settle
    limits: Limits | None = None
    """Other limits than the settings' for text."""
    order: bytes = b"-"
    """What another worker needs to go on with it; `-` for a turn that can only be ended there."""
    order_now: Callable[[], bytes] | None = None
    """The same as of now, where it changes while the turn runs."""
    patience_ms: int = 0
    """How long the turn waits for its user to come to another worker when this one is gone."""
    on_left: Callable[[], None] = lambda: None
    """Called when the turn has been left to another worker."""


@dataclass(slots=True)
class RunningTurn:
    """A turn that this worker runs."""

    user_id: str
    conversation: str
    message: str
    runner: Runner
    launch: Launch

    @property
    def log(self) -> TurnLog:
        return self.runner.log

    def bring_up_to_date(self) -> None:
        """Have a worker that may take it over told how things stand now. Never yields."""
        if self.launch.order_now is not None and isinstance(self.log, RedisLog):
            self.log.renew_order(self.launch.order_now())

    def to_wire(self) -> dict[str, Any]:
        return place_of(self.log, self.conversation, self.message)


@dataclass(frozen=True, slots=True)
class RemoteTurn:
    """A turn that another worker runs."""

    conversation: str
    message: str
    log: TurnLog

    def to_wire(self) -> dict[str, Any]:
        return place_of(self.log, self.conversation, self.message)


def place_of(log: TurnLog, conversation: str, message: str) -> dict[str, Any]:
    return {
        "turn": log.turn_id,
        "conversation": conversation,
        "message": message,
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
        if isinstance(logs, RedisLogs):
            logs.on_stop = self._stop_here

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
            _note_ending(launch, log, self._clock.monotonic() - began)
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
                _ending(remote.log, STOP_S)
        for turn in turns:
            turn.runner.wait(WAIT_S)

    @property
    def shared(self) -> bool:
        """Whether other workers can take turns over."""
        return isinstance(self._logs, RedisLogs)

    @property
    def draining(self) -> bool:
        """Whether new turns are refused because the server stops."""
        return self._admission.draining

    def drain(self, grace_s: float) -> None:
        """Refuse new turns and hand running ones to other workers; else give them `grace_s`, then end what is left as
        interrupted."""
        self._admission.drain()
        until = time.monotonic() + grace_s
        if isinstance(self._logs, RedisLogs):
            self._logs.retire()
            self._hand_over(self._logs, until)
        with gevent.Timeout(max(0.0, until - time.monotonic()), False):
            for turn in list(self._running.values()):
                turn.runner.wait(grace_s)
        left = list(self._running.values())
        for turn in left:
            turn.runner.stop("interrupted", "shutdown")
        for turn in left:
            turn.runner.wait(5)

    def _hand_over(self, logs: RedisLogs, until: float) -> None:
        """Let other workers go on with what they can; nothing is begun over that may as well end here.

        Looks again until there is nothing left: a start may be under way, and Redis may be away for a moment.
        """
        while True:
            turns = [turn for turn in self._running.values() if turn.launch.order != b"-"]
            if turns and logs.peers():
                for turn in turns:
                    turn.bring_up_to_date()
                    turn.runner.let_go()
                Pool(HAND_OVER_AT_ONCE).map(lambda turn: self._give(logs, turn), turns)
            elif not turns and not self._beginning:
                return
            if time.monotonic() > until:
                return
            gevent.sleep(0.1)

    def _give(self, logs: RedisLogs, turn: RunningTurn) -> None:
        """Let others have a turn as soon as its runner has let go of it."""
        turn.runner.wait(HAND_OVER_S)
        if turn.log.ended is None and isinstance(turn.log, RedisLog) and turn.launch.turn_id not in self._running:
            logs.hand_over(turn.log)

    def fetch(self, turn_id: str) -> RedisLog | None:
        """Bring a turn here that another worker runs, and note that in its row; None when it stays there, or ended."""
        if not isinstance(self._logs, RedisLogs):
            return None
        claimed = self._logs.fetch(turn_id, FETCH_S)
        if claimed is None:
            return None
        log, worker = claimed.log, self._logs.worker
        if self._uow.run(lambda session: note_owner(session, turn_id, log.fence, worker)):
            return log
        self._logs.hand_over(log)  # it was settled this very moment: the next that looks writes its ending
        return None

    def give(self, running: RunningTurn, worker: str) -> None:
        """Let another worker have a turn, once its runner has let go of it."""
        if not isinstance(self._logs, RedisLogs) or not isinstance(running.log, RedisLog):
            return
        running.bring_up_to_date()
        running.runner.wait(HAND_OVER_S)
        if running.log.ended is None and running.log.turn_id not in self._running:
            self._logs.give(running.log, worker)

    def on_wanted(self, wanted: Callable[[str, str], None]) -> None:
        """Have `wanted(turn, worker)` told of turns that another worker wants to go on with. It must not yield."""
        if isinstance(self._logs, RedisLogs):
            self._logs.on_wanted = wanted

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
            _ending(log, STOP_S)
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


class _Ending:
    """Waits for a log's last entry."""

    def __init__(self) -> None:
        self.came = Event()

    def wake(self, urgent: bool) -> None:
        if urgent:
            self.came.set()


def _ending(log: TurnLog, timeout_s: float) -> None:
    """Wait until `log` has ended, `timeout_s` at most."""
    watcher = _Ending()
    log.watch(watcher)
    try:
        with gevent.Timeout(timeout_s, False):
            while log.ended is None:
                watcher.came.wait()
                watcher.came.clear()
    finally:
        log.unwatch(watcher)


def _note_ending(launch: Launch, log: TurnLog, lasted_s: float) -> None:
    if (ended := log.ended) is not None:
        logger.info(
            "turn ended",
            extra={
                "turn": launch.turn_id,
                "user": launch.user_id,
                "status": ended.status,
                "reason": ended.reason,
                "code": (ended.error or {}).get("code", ""),
                "entries": log.offset,
                "charged": ended.charged,
                "duration_ms": round(lasted_s * 1000),
            },
        )


def _follow(running: RunningTurn, position: Position) -> Following:
    return follow(running.runner.log, position, conversation=running.conversation, message=running.message)
