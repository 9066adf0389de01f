"""What every connection is told first: who it is, what it may spend, what the limits are."""

from __future__ import annotations

from typing import Any

from db.unit_of_work import UnitOfWork
from services.clock import Clock
from services.identity import Identity
from services.quota.ledger import Ledger

PROTOCOL = 1


class Welcomes:
    """Builds the part of `welcome` that all namespaces share."""

    def __init__(self, *, uow: UnitOfWork, ledger: Ledger, clock: Clock, limits: dict[str, Any]) -> None:
        self._uow = uow
        self._ledger = ledger
        self._clock = clock
        self._limits = limits

    def for_user(self, identity: Identity) -> dict[str, Any]:
        with self._uow.read() as session:
            quota = self._ledger.balance(session, identity.user_id)
        return {
            "protocol": PROTOCOL,
            "user": identity.to_wire(),
            "quota": quota.to_wire(),
            "limits": self._limits,
            "server_time_ms": self._clock.now_ms(),
        }
