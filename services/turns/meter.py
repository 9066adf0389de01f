"""Counts a running answer against what was reserved for it, and asks for more when that is used up."""

from __future__ import annotations

from db.unit_of_work import UnitOfWork
from services.events import Reason
from services.quota.estimate import Counter
from services.quota.ledger import Ledger

TOP_UP = 512
"""Tokens asked for at a time, so that a long answer does not ask the database at every piece."""


HEEDLESS, SLACK = 4, 64
"""A vendor past so many times the limit it was told, by our count and with this slack, does not keep to limits.
Our count is at most about three times a tokenizer's, so that one which does is never cut."""


class TokenMeter:
    """A `services.relay.runner.Meter` over the ledger. Used by the turn's greenlet only."""

    def __init__(self, *, turn_id: str, granted: int, ledger: Ledger, uow: UnitOfWork) -> None:
        self._turn_id = turn_id
        self._granted = granted
        self._heedless = granted * HEEDLESS + SLACK
        self._ledger = ledger
        self._uow = uow
        self._counter = Counter()

    def spend(self, text: str) -> Reason | None:
        counted = self._counter.add(text)
        if counted <= self._granted:
            return None
        if counted > self._heedless:
            return "length"
        more = self._uow.run(
            lambda session: self._ledger.top_up(session, turn_id=self._turn_id, kind="tokens", want=TOP_UP)
        )
        self._granted += more
        return None if more > 0 else "quota"
