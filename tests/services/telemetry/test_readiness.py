"""Readiness: a slow or broken dependency is not ready, and asking is cheap."""

from __future__ import annotations

import gevent
import pytest
from gevent.event import Event

from services.telemetry import readiness
from services.telemetry.readiness import Readiness
from tests.clocks import FakeClock


def broken() -> bool:
    raise ConnectionError("gone")


def test_a_broken_or_silent_dependency_is_not_ready(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that hangs is waited for briefly, never killed, and does not hide the others."""
    monkeypatch.setattr(readiness, "PATIENCE_S", 0.02)
    free, ended = Event(), Event()

    def hangs() -> bool:
        free.wait(20)
        ended.set()
        return True

    found = Readiness({"good": lambda: True, "broken": broken, "hanging": hangs}, FakeClock()).report()

    assert found == {"good": True, "broken": False, "hanging": False}
    free.set()
    assert ended.wait(20)


def test_many_who_ask_share_one_round() -> None:
    """At once, and within a second; after that it is asked anew."""
    clock, asked = FakeClock(), [0]

    def answers() -> bool:
        asked[0] += 1
        return True

    watched = Readiness({"database": answers}, clock)

    reports = [gevent.spawn(watched.report) for _ in range(20)]
    gevent.joinall(reports, raise_error=True)
    assert [report.value for report in reports] == [{"database": True}] * 20
    assert asked[0] == 1

    clock.advance(0.9)
    watched.report()
    assert asked[0] == 1
    clock.advance(0.2)
    watched.report()
    assert asked[0] == 2
