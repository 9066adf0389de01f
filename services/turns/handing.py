"""Turns that go from worker to worker while both live: handed over at a stop, or given to the one that asks."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

import gevent
from gevent.pool import Pool

from db.unit_of_work import UnitOfWork
from services.relay.redis_log import RedisLog
from services.relay.redis_logs import RedisLogs
from services.turns.records import note_owner
from services.turns.running import RunningTurn

FETCH_S = 10.0
"""How long a turn that another worker runs is asked for."""

LET_GO_S = 5.0
"""How long the end of a turn that is being settled is waited for, before it is left to itself."""

AT_ONCE = 16


class Handing:
    """Of one worker. What becomes of a turn whose worker died is `takeover.py`'s."""

    def __init__(
        self,
        logs: RedisLogs,
        uow: UnitOfWork,
        running: Mapping[str, RunningTurn],
        is_beginning: Callable[[], bool],
    ) -> None:
        """
        Args:
            running: The worker's turns, by their ids; only read here.
            is_beginning: Whether a start is under way that may become one.
        """
        self._logs = logs
        self._uow = uow
        self._running = running
        self._is_beginning = is_beginning

    def hand_over(self, until: float) -> None:
        """Let other workers go on with what they can; what nobody could go on with may as well end here.

        Looks again until there is nothing left: a start may be under way, and Redis may be away for a moment.

        Args:
            until: When to give up, of `time.monotonic`.
        """
        self._logs.retire()
        while True:
            turns = [turn for turn in self._running.values() if turn.launch.order != b"-"]
            if turns and self._logs.peers():
                for turn in turns:
                    turn.bring_up_to_date()
                    turn.runner.let_go()
                Pool(AT_ONCE).map(self._leave, turns)
            elif not turns and not self._is_beginning():
                return
            if time.monotonic() > until:
                return
            gevent.sleep(0.1)

    def give(self, turn: RunningTurn, worker: str) -> None:
        """Let one other worker have a turn, once its runner has let go of it."""
        turn.bring_up_to_date()
        if (log := self._left(turn)) is not None:
            self._logs.give(log, worker)

    def fetch(self, turn_id: str) -> RedisLog | None:
        """Bring a turn here that another worker runs, and note that in its row; None when it stays there, or ended."""
        claimed = self._logs.fetch(turn_id, FETCH_S)
        if claimed is None:
            return None
        log, worker = claimed.log, self._logs.worker
        if self._uow.run(lambda session: note_owner(session, turn_id, log.fence, worker)):
            return log
        self._logs.hand_over(log)  # it was settled this very moment: the next that looks writes its ending
        return None

    def on_wanted(self, wanted: Callable[[str, str], None]) -> None:
        """Have `wanted(turn, worker)` told of turns that another worker wants to go on with. It must not yield."""
        self._logs.on_wanted = wanted

    def _leave(self, turn: RunningTurn) -> None:
        if (log := self._left(turn)) is not None:
            self._logs.hand_over(log)

    def _left(self, turn: RunningTurn) -> RedisLog | None:
        """The turn's log once its runner has let go of it; None when it ended here instead."""
        turn.runner.wait(LET_GO_S)
        log = turn.log
        gone = log.ended is None and log.turn_id not in self._running
        return log if gone and isinstance(log, RedisLog) else None
