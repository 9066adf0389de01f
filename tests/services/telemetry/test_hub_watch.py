"""Code that holds the hub is found, named and counted."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import gevent
import pytest
from gevent.event import Event

from services.clock import SystemClock
from services.telemetry.hub_watch import HubWatch
from tests.clocks import FakeClock


@pytest.fixture
def stood() -> list[float]:
    return []


@pytest.fixture
def watch(stood: list[float]) -> Iterator[HubWatch]:
    watch = HubWatch(SystemClock(), stood.append, tick_s=0.005, look_s=0.1)
    yield watch
    watch.close()


def hog(watch: HubWatch) -> None:
    """Holds the hub until that is noticed."""
    gevent.sleep(0.02)
    for _ in range(10**9):
        if watch.caught:
            break
    gevent.sleep(0.02)


def test_the_code_that_holds_the_hub_is_named_once_a_minute(
    watch: HubWatch, stood: list[float], caplog: pytest.LogCaptureFixture
) -> None:
    """The first standstill is logged with its stack; the next within the minute is only counted."""
    with caplog.at_level(logging.WARNING, "services.telemetry.hub_watch"):
        hog(watch)
        hog(watch)

    assert len(stood) >= 2
    (record,) = caplog.records
    assert "in hog\n" in record.getMessage()


def test_a_tick_is_as_late_as_the_clock_says() -> None:
    """Nothing is counted while ticks come in time, and what is counted is the time nobody could run."""
    clock, stood, told = FakeClock(), list[float](), Event()

    def observe(seconds: float) -> None:
        stood.append(seconds)
        told.set()

    watch = HubWatch(clock, observe, tick_s=0.005)
    gevent.sleep(0.03)
    assert not stood
    clock.advance(3)
    assert told.wait(10)
    watch.close()

    assert stood == pytest.approx([3], abs=0.01)
