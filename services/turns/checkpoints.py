"""Saves running answers every second, so that a killed server keeps what it showed."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any, cast

import gevent
from sqlalchemy import Table, delete, insert, select

from db.errors import DatabaseBusy
from db.models import Turn, TurnCheckpoint
from db.unit_of_work import UnitOfWork
from services.events import TranscriptFinal
from services.relay.log import Position, TurnLog

logger = logging.getLogger(__name__)


_INSERT = insert(cast(Table, TurnCheckpoint.__table__))
"""Of the table and not the class: rows go to the driver as they are, for a third of the time."""


@dataclass(slots=True)
class _Saved:
    log: TurnLog
    position: Position


class Checkpoints:
    """Appends what each running turn has produced since the last save, all turns in one transaction."""

    def __init__(self, uow: UnitOfWork, period_s: float) -> None:
        self._uow = uow
        self._period_s = period_s
        self._running: dict[str, _Saved] = {}
        self._greenlet: gevent.Greenlet | None = None

    def add(self, log: TurnLog) -> None:
        """Keep saving this turn. Of one that another worker had, what that one saved is written over."""
        self._running[log.turn_id] = _Saved(log, Position(log.epoch if log.fence == 1 else 0, 0))
        if self._greenlet is None:
            self._greenlet = gevent.spawn(self._run)

    def remove(self, turn_id: str) -> None:
        """The turn is settled, which deletes what was saved of it."""
        self._running.pop(turn_id, None)

    def close(self) -> None:
        if self._greenlet is not None:
            self._greenlet.kill()

    def save(self) -> None:
        """One round. A turn that another worker has by now is left to that one.

        One that ends while the rows are written leaves an orphan, which recovery sweeps away.
        """
        rows: list[dict[str, Any]] = []
        void: list[str] = []
        reached: list[tuple[_Saved, Position]] = []
        for turn_id, saved in self._running.items():
            log, after = saved.log, saved.position.offset
            if log.ended is not None or (log.epoch, log.offset) == (saved.position.epoch, after):
                continue
            if log.epoch != saved.position.epoch:
                void.append(turn_id)
                after = 0
            spans = log.read(after, 10**9)
            row = {"turn_id": turn_id, "offset": log.offset, "text": "", "reasoning": ""}
            for span in spans:
                if span.kind in ("text", "reasoning"):
                    row[span.kind] = str(row[span.kind]) + span.text
                elif isinstance(span.event, TranscriptFinal):
                    row["text"] = str(row["text"]) + span.event.text
            rows.append(row)
            reached.append((saved, Position(log.epoch, log.offset)))
        if not rows:
            return
        with self._uow() as session:
            fences: dict[str, int] = dict(
                session.execute(select(Turn.id, Turn.fence).where(Turn.id.in_([row["turn_id"] for row in rows]))).all()
            )
            mine = {saved.log.turn_id for saved, _ in reached if fences.get(saved.log.turn_id) == saved.log.fence}
            if void := [turn_id for turn_id in void if turn_id in mine]:
                session.execute(delete(TurnCheckpoint).where(TurnCheckpoint.turn_id.in_(void)))
            if rows := [row for row in rows if row["turn_id"] in mine]:
                session.execute(_INSERT, rows)
        for saved, position in reached:
            saved.position = position

    def _run(self) -> None:
        while True:
            gevent.sleep(self._period_s)
            try:
                self.save()
            except DatabaseBusy as busy:
                logger.warning("running answers are not saved for now: %s", busy)
                self._begin_again()
            except Exception:
                logger.exception("could not save running answers")
                self._begin_again()

    def _begin_again(self) -> None:
        """Whether the last rows were kept is unknown: write every running turn whole next time."""
        for saved in self._running.values():
            saved.position = Position(0, 0)
