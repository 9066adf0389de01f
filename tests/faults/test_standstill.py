"""One piece of code holds the hub for a second: it is named in the log, counted, and nobody loses a connection."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from typing import Any

import pytest
from gevent.event import Event

from services.events import Stop, TextDelta, Usage
from services.providers.base import ChatRequest
from tests.servers import Stand, site_env, stand  # noqa: F401
from tests.viewers import Device

HELD_S = 1.2


def test_whoever_holds_the_hub_is_named_and_disconnects_nobody(
    stand: Stand,  # noqa: F811
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("services.telemetry.hub_watch.QUIET_S", 0)  # whatever held it before
    go_on = Event()

    def greedy(request: ChatRequest) -> Iterator[Any]:
        until = time.monotonic() + HELD_S
        while time.monotonic() < until:
            pass
        yield TextDelta("sorry")
        yield Stop("stop", Usage(1, 1))

    def patient(request: ChatRequest) -> Iterator[Any]:
        yield TextDelta("one ")
        assert go_on.wait(30)
        yield TextDelta("two")
        yield Stop("stop", Usage(1, 2))

    address = stand.site.open()
    viewers = [Device(address, transport=transport).connect() for transport in ("websocket", "polling")]
    gone = [viewer.gone() for viewer in viewers]
    stand.provider.script = patient
    turns = [viewer.ask("c-1", "hi")["turn"] for viewer in viewers]
    for viewer, turn in zip(viewers, turns, strict=True):
        assert viewer.seen(turn).moved.wait(10)
    stand.provider.script = greedy
    with caplog.at_level(logging.WARNING, "services.telemetry.hub_watch"):
        other = Device(address).connect()
        assert other.seen(other.ask("c-2", "hi")["turn"]).whole()["status"] == "done"
    go_on.set()

    for viewer, turn in zip(viewers, turns, strict=True):
        assert viewer.seen(turn).whole()["status"] == "done"
        assert viewer.call("sync")["ok"]
    assert not any(each.is_set() for each in gone)
    assert any("in greedy\n" in record.getMessage() for record in caplog.records)
    assert b"parley_hub_blocked_seconds_count 0.0" not in stand.services.metrics.exposition()
