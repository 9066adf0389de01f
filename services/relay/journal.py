"""Writes the logs of a worker's turns to Redis behind their viewers here, and renews the worker's leases with it.

One greenlet writes for all turns: every few milliseconds whatever has come, in one script a partition. While Redis is
away news stay in the logs' memory; it is tried again after at most a second. A running turn is bounded by its longest
answer; of turns that ended meanwhile the oldest are let go beyond `MAX_UNSENT_CHARS`: the database has them.
"""

from __future__ import annotations

import logging
import random
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import gevent
import redis
from gevent.event import Event

from services.relay.keys import RUNNING_S, Keys
from services.relay.log import Position
from services.relay.redis_log import RedisLog
from services.wire.redis_link import RedisLink, Script, Value

logger = logging.getLogger(__name__)

GATHER_S, LONGEST_GATHER_S = 0.008, 0.04
"""News of one turn and of others are gathered so long before they are written: four times as long as writing took
last, so that many turns cost a fifth of a core at most."""
LONGEST_WAIT_S = 1.0
"""Between two tries while Redis is away."""
TURNS_AT_ONCE = 64
MAX_UNSENT_CHARS = 32_000_000
BEFORE_ALL = Position(1, 0)
"""Where a log begins; no entry of the stream stands for it."""

APPEND = Script((Path(__file__).parent / "scripts" / "append.lua").read_text(), is_timed=True)


class Journal:
    """Shared state: `_queued` and `_open` are read and written without a yield in between; one greenlet writes.

    Attributes:
        failing: Whether the last try did not reach Redis, or found it full or read-only.
    """

    def __init__(self, link: RedisLink, *, owner: str, lease_s: float, kept_s: float) -> None:
        """
        Args:
            lease_s: How long a turn stays this worker's without a word; renewed four times as often.
            kept_s: How long the log of a turn is kept after its end.
        """
        self.on_overtaken: Callable[[RedisLog], None] = lambda log: None
        self.failing = False
        self._link = link
        self._keys = Keys(link)
        self._owner = owner
        self._lease_ms = round(lease_s * 1000)
        self._renew_s = lease_s / 4
        self._kept_ms = max(round(kept_s * 1000), 1)
        self._open: dict[str, RedisLog] = {}
        self._queued: dict[str, RedisLog] = {}
        self._news = Event()
        self._writing: gevent.Greenlet | None = None

    def open(self, log: RedisLog) -> None:
        """Write this log from now on. Never yields."""
        self._open[log.turn_id] = log
        self.queue(log)
        if self._writing is None:
            self._writing = gevent.spawn(self._run)

    def queue(self, log: RedisLog) -> None:
        log.queued = True
        self._queued[log.turn_id] = log
        self._news.set()

    def forget(self, log: RedisLog) -> None:
        """Write it no more. Never yields."""
        self._open.pop(log.turn_id, None)
        self._queued.pop(log.turn_id, None)

    def flush(self, logs: Iterable[RedisLog] | None = None) -> None:
        """Write the news of these logs, or of all.

        Raises:
            redis.RedisError: Some may not be written; they are queued again.
        """
        todo = {log.turn_id: log for log in (self._queued.values() if logs is None else logs)}
        parts: dict[int, list[RedisLog]] = defaultdict(list)
        for turn_id, log in todo.items():
            self._queued.pop(turn_id, None)
            log.queued = False
            parts[self._link.partition(turn_id)].append(log)
        left = [log for part in parts.values() for log in part]
        try:
            for partition, part in parts.items():
                for first in range(0, len(part), TURNS_AT_ONCE):
                    batch = [log for log in part[first : first + TURNS_AT_ONCE] if log.writer is not None]
                    if batch:
                        self._write(partition, batch)
                    del left[: len(part[first : first + TURNS_AT_ONCE])]
        finally:
            for log in left:
                if log.writer is not None:
                    self.queue(log)

    def close(self) -> None:
        """Write what is left, if Redis answers, and end."""
        if self._writing is not None:
            self._writing.kill()
        try:
            self.flush()
        except redis.RedisError as error:
            logger.warning("the last entries of %d logs did not reach Redis: %s", len(self._queued), error)

    @property
    def unsent(self) -> int:
        """Logs that Redis does not have whole."""
        return len(self._queued)

    def _write(self, partition: int, batch: Sequence[RedisLog]) -> None:
        keys = [self._keys.leases(partition)]
        words: list[Value] = [self._owner, self._lease_ms, RUNNING_S * 1000]
        reached: list[tuple[Position, bool]] = []
        for log in batch:
            entries, position = log.unsent()
            whole = log.ended is not None and position.offset == log.offset
            reached.append((position, whole))
            keys += (self._keys.facts(log.turn_id), self._keys.log(log.turn_id))
            there = f"{log.sent.epoch}-{log.sent.offset}" if log.known and log.sent != BEFORE_ALL else "0-0"
            words += (log.turn_id, log.fence, there)
            order = log.order if log.has_new_order or not log.known else b""
            words += (self._kept_ms if whole else 0, order, log.patience_ms, len(entries))
            for entry in entries:
                words += entry
        orders = [log.order for log in batch]
        answers: list[bytes] = self._link.run(APPEND, keys, words)
        for log, order in zip(batch, orders, strict=True):
            log.has_new_order = log.order is not order
        for log, (position, whole), answer in zip(batch, reached, answers, strict=True):
            self._note(log, position, whole, answer.decode())

    def _note(self, log: RedisLog, position: Position, whole: bool, answer: str) -> None:
        if log.writer is None:
            return  # let go meanwhile
        if answer == "ok":
            log.known = True
            log.sent = position
            if whole:
                self.forget(log)
            elif not log.is_sent:
                self.queue(log)
        elif answer == "overtaken":
            logger.warning("turn %s is another worker's now", log.turn_id)
            self.forget(log)
            self.on_overtaken(log)
        else:
            if answer == "lost":
                log.known = False
            log.behind(answer.partition(" ")[2] or "0-0")
            self.queue(log)

    def _run(self) -> None:
        renew_at, wait_s, gather_s = 0.0, 0.0, GATHER_S
        while True:
            self._news.wait(max(renew_at - time.monotonic(), 0.05))
            self._news.clear()
            gevent.sleep(max(gather_s, wait_s * random.uniform(0.5, 1.0)))
            if time.monotonic() >= renew_at:
                for log in self._open.values():
                    self.queue(log)
                renew_at = time.monotonic() + self._renew_s
            began = time.monotonic()
            try:
                self.flush()
            except redis.RedisError as error:
                if not self.failing:
                    logger.warning("logs do not reach Redis: %s", error)
                self.failing, wait_s = True, min(wait_s * 2 + 0.05, LONGEST_WAIT_S)
                self._let_go()
            except Exception:
                logger.exception("logs could not be written")
                wait_s = LONGEST_WAIT_S
            else:
                if self.failing:
                    logger.warning("logs reach Redis again")
                self.failing, wait_s = False, 0.0
                gather_s = min(max(4 * (time.monotonic() - began), GATHER_S), LONGEST_GATHER_S)

    def _let_go(self) -> None:
        """Bound what waits for Redis."""
        ended = [log for log in self._open.values() if log.ended is not None]
        chars = sum(log.chars for log in ended)
        for log in ended:
            if chars <= MAX_UNSENT_CHARS:
                return
            chars -= log.chars
            self.forget(log)
