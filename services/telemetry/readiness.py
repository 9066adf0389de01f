"""Whether this process should get traffic: its dependencies, asked briefly, and whether it is about to stop."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import gevent

from services.clock import Clock

Check = Callable[[], bool]

PATIENCE_S = 2.0
"""A dependency that needs longer is not ready."""
KEPT_S = 1.0
"""How long an answer counts: whoever asks more often costs nothing."""


class Readiness:
    """Asks every dependency at once; several who ask meanwhile share one round. State is this process's."""

    def __init__(self, checks: Mapping[str, Check], clock: Clock) -> None:
        """`checks` answer True when all is well; one that raises is not."""
        self._checks = dict(checks)
        self._clock = clock
        self._round: gevent.Greenlet | None = None
        self._known: tuple[float, dict[str, bool]] | None = None

    def report(self) -> dict[str, bool]:
        """Each check by name, not older than `KEPT_S`."""
        if self._known is not None and self._clock.monotonic() - self._known[0] < KEPT_S:
            return self._known[1]
        if self._round is None or self._round.ready():
            self._round = gevent.spawn(self._ask)
        found: dict[str, bool] = self._round.get()
        return found

    def _ask(self) -> dict[str, bool]:
        # Nothing is killed when it is late: a greenlet cut off in a database call would spoil the connection.
        asked = {name: gevent.spawn(_answers, check) for name, check in self._checks.items()}
        gevent.joinall(list(asked.values()), timeout=PATIENCE_S)
        found = {name: bool(greenlet.ready() and greenlet.value) for name, greenlet in asked.items()}
        self._known = (self._clock.monotonic(), found)
        return found


def _answers(check: Check) -> bool:
    try:
        return check()
    except Exception:  # noqa: BLE001 - whatever it is, it is not ready
        return False
