"""Goes on with the turns of workers that went silent: from where they were, from the start, or to their end.

A turn belongs to whoever holds its lease in Redis (`relay/scripts/claim.lua`); its fence, which grows with each owner,
is written into the turn's row before anything else is done, so that the former owner can neither write nor settle it.
"""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Iterable

import gevent
import redis
from gevent.pool import Pool
from prometheus_client import Counter
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from db.errors import DatabaseBusy
from db.models import Message, Turn
from db.unit_of_work import UnitOfWork
from services.clock import Clock
from services.errors import ChatError
from services.events import ReasoningDelta, TextDelta
from services.relay.redis_log import RedisLog
from services.relay.redis_logs import Claimed, RedisLogs, Sure
from services.telemetry.metrics import Metrics
from services.turns.bare import Unmetered
from services.turns.order import kept_order
from services.turns.records import ending_of, note_owner
from services.turns.recovery import Recovery
from services.turns.running import Launch
from services.turns.settlement import Settlement
from services.turns.text import TextTurns
from services.turns.turns import Turns

logger = logging.getLogger(__name__)

LOOK_S = 0.4
"""Between two looks for leases that have run out."""
FORGOTTEN_S = 2.0
"""Between two looks for running turns of which Redis knows nothing."""
FORGOTTEN_AGE_MS = 6_000
FORGOTTEN_AT_ONCE = 200
AT_ONCE = 24
"""Turns taken in one look, so that the other workers, too, have a part of those that a dead one leaves."""
SIDE_BY_SIDE = 8
MAX_OUTLIVED = 10
"""A turn that outlived so many workers may be what kills them; it is ended."""


class Takeover:
    """One greenlet a worker."""

    def __init__(
        self,
        *,
        logs: RedisLogs,
        turns: Turns,
        text_turns: TextTurns,
        settlement: Settlement,
        recovery: Recovery,
        uow: UnitOfWork,
        clock: Clock,
        metrics: Metrics,
        owner: str,
    ) -> None:
        self._logs = logs
        self._turns = turns
        self._text_turns = text_turns
        self._settlement = settlement
        self._recovery = recovery
        self._uow = uow
        self._clock = clock
        self._owner = owner
        self._taken = Counter(
            "parley_turns_taken_over",
            "Turns of other workers, by what became of them here.",
            ["how"],
            registry=metrics.registry,
        )
        self._pool = Pool(SIDE_BY_SIDE)
        self._looking = gevent.spawn(self._run)

    def close(self) -> None:
        self._looking.kill()
        self._pool.kill()

    def _run(self) -> None:
        own_dead, forgotten_at = True, time.monotonic() + FORGOTTEN_S
        while not self._turns.draining:
            try:
                if own_dead:
                    self._look_for_own_dead()
                    own_dead = False
                self._take_each(self._logs.lapsed(), "lapsed")
                if time.monotonic() >= forgotten_at:
                    forgotten_at = time.monotonic() + FORGOTTEN_S * random.uniform(0.8, 1.2)
                    self._look_for_forgotten()
            except (redis.RedisError, DatabaseBusy) as error:
                logger.info("turns of other workers are looked at later: %s", error)
            except Exception:
                logger.exception("turns of other workers could not be looked at")
            gevent.sleep(LOOK_S * random.uniform(0.75, 1.25))

    def _look_for_own_dead(self) -> None:
        """This worker's name was another process's until it died: what that one ran needs no lease to run out."""
        with self._uow.read() as session:
            mine = select(Turn.id).where(Turn.status == "running", Turn.owner == self._owner)
            left = session.scalars(mine).all()
        self._take_each([turn_id for turn_id in left if turn_id not in self._turns], "dead")

    def _look_for_forgotten(self) -> None:
        """Turns that run by the database, but of which a Redis that lost its data has no lease."""
        if not self._logs.steady:
            return
        with self._uow.read() as session:
            old = select(Turn.id).where(
                Turn.status == "running", Turn.created_ms < self._clock.now_ms() - FORGOTTEN_AGE_MS
            )
            rows = session.scalars(old.order_by(Turn.created_ms).limit(FORGOTTEN_AT_ONCE)).all()
        self._take_each(
            self._logs.without_lease([turn_id for turn_id in rows if turn_id not in self._turns]), "forgotten"
        )

    def _take_each(self, turn_ids: Iterable[str], sure: Sure) -> None:
        """Several side by side, in an order of this worker's own: others look at the same ones.

        Raises:
            redis.RedisError, DatabaseBusy: Some could not be looked at. What else fails is logged.
        """
        todo = list(turn_ids)
        random.shuffle(todo)
        del todo[AT_ONCE:]
        failures = [error for error in self._pool.map(lambda turn_id: self._try(turn_id, sure), todo) if error]
        if failures:
            raise failures[0]

    def _try(self, turn_id: str, sure: Sure) -> redis.RedisError | DatabaseBusy | None:
        try:
            self._take(turn_id, sure)
        except (redis.RedisError, DatabaseBusy) as error:
            return error
        except Exception:
            logger.exception("turn %s could not be taken over", turn_id)
        return None

    def _take(self, turn_id: str, sure: Sure) -> None:
        """Claim one turn and see to it, unless somebody else has it."""
        # Of a turn whose lease has run out Redis knows the fence; of others it may have forgotten it.
        least_fence = 0 if sure == "lapsed" else self._fence(turn_id)
        claimed = self._logs.claim(turn_id, least_fence=least_fence, sure=sure)
        if claimed is None:
            return
        try:
            row = self._uow.run(lambda session: self._own(session, turn_id, claimed.log.fence))
            if row is None:
                self._seal(claimed.log)
            elif self._turns.draining:
                self._logs.hand_over(claimed.log)
            else:
                self._go_on(row, claimed)
        except BaseException:
            if turn_id not in self._turns:
                self._logs.hand_over(claimed.log)
            raise

    def _fence(self, turn_id: str) -> int:
        with self._uow.read() as session:
            return session.scalar(select(Turn.fence).where(Turn.id == turn_id)) or 0

    def _own(self, session: Session, turn_id: str, fence: int) -> Turn | None:
        """Note the new owner in the turn's row; None when it is settled, or deleted."""
        if not note_owner(session, turn_id, fence, self._owner):
            return None
        return session.get(Turn, turn_id)

    def _go_on(self, row: Turn, claimed: Claimed) -> None:
        log, order = claimed.log, claimed.order
        if order == b"-" and (order := kept_order(row)) != b"-":
            log.renew_order(order)
        if log.offset == 0:  # Redis has forgotten it, or never had it: the database's last save is what is left
            saved = self._recovery.outcome(row.id, row.epoch, log.fence)
            if order == b"-":
                self._settlement.settle(row.id, saved, message_id=row.message_id, prompt_estimate=row.prompt_tokens)
                self._seal(log, "interrupted")
                return
            log.rewind(0)
            if saved.reasoning:
                log.append(ReasoningDelta(saved.reasoning))
            if saved.text:
                log.append(TextDelta(saved.text))
        if order != b"-" and claimed.outlived <= MAX_OUTLIVED:
            try:
                running = self._text_turns.resume(row, order, log)
            except (ChatError, ValueError, TypeError) as error:
                logger.warning("turn %s cannot be gone on with: %s", row.id, error)
            else:
                self._note(row.id, "continued" if running.log.length else "restarted")
                return
        log.rewind(log.offset)
        launch = Launch(
            user_id=row.user_id,
            turn_id=row.id,
            conversation=row.conversation_id,
            message=row.message_id,
            stream=lambda deadline: iter(()),
            meter=Unmetered(),
            settle=lambda outcome: self._settlement.settle(
                row.id, outcome, message_id=row.message_id, prompt_estimate=row.prompt_tokens
            ),
        )
        self._turns.resume(launch, log, goes_on=True, interrupted=True)
        self._note(row.id, "interrupted")

    def _seal(self, log: RedisLog, how: str = "sealed") -> None:
        """The turn is settled (or was deleted), but its log has no ending: give it the one that is stored.

        A log that has its ending here, but not in Redis, is written by the claim alone.
        """
        if log.ended is not None:
            self._logs.release(log.turn_id)
            return
        with self._uow.read() as session:
            row = session.get(Turn, log.turn_id)
            message = session.get(Message, row.message_id) if row is not None else None
        if row is None:
            self._logs.discard(log)
            return
        if row.status == "running":  # a later owner stands in the row than Redis remembers: its own look finds it
            self._logs.hand_over(log)
            return
        text = (message.text if message is not None else row.text) or ""
        reasoning = message.reasoning if message is not None else ""
        shown = log.answer()
        if text.startswith(shown) and log.reasoning() == reasoning:
            log.rewind(log.offset)
            rest = text[len(shown) :]
        else:
            log.rewind(0)
            rest = text
            if reasoning:
                log.append(ReasoningDelta(reasoning))
        if rest:
            log.append(TextDelta(rest))
        log.append(ending_of(row))
        self._logs.release(log.turn_id)
        place = update(Turn).where(Turn.id == row.id).values(epoch=log.epoch, end_offset=log.offset)
        self._uow.run(lambda session: session.execute(place))
        self._note(log.turn_id, how)

    def _note(self, turn_id: str, how: str) -> None:
        self._taken.labels(how).inc()
        logger.warning("turn of a silent worker taken over: %s", how, extra={"turn": turn_id})
