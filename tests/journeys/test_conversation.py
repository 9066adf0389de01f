"""A conversation as people have it: reloads, second devices, lost lines, restarts."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import gevent
import pytest

from tests.node import node
from tests.processes import ROOT, ServerProcess
from tests.viewers import Device

TRANSPORTS = ("websocket", "polling")
PACED = "pieces=120 rate=40 size=6"
"""What the `benchmark` model is asked for: an answer of three seconds."""


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_a_stock_python_client_follows_a_turn(server: ServerProcess, transport: str) -> None:
    """Welcome, acknowledgement, dense entries, one ending whose length and hash are those of the text."""
    device = Device(server.address, transport=transport).connect()
    assert device.welcome["protocol"] == 1
    assert device.welcome["user"]["guest"]
    assert [model for model in device.welcome["models"] if model["available"]]
    started = device.ask("c-1", "你好")
    assert (started["epoch"], started["offset"]) == (1, 0)
    end = device.seen(started["turn"]).whole()
    assert (end["status"], end["message"]) == ("done", started["message"])
    assert end["charged"] == end["usage"]["total_tokens"] > 0
    device.leave()


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_a_stock_javascript_client_follows_a_turn(server: ServerProcess, transport: str) -> None:
    """The same with socket.io-client under Node, by the client rule of the README."""
    script = ROOT / "tests" / "journeys" / "follow.mjs"
    done = subprocess.run(
        [node(), script, server.address, transport, "写一张表格 table"], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    result: dict[str, Any] = json.loads(done.stdout)
    assert result["verified"]
    assert result["text"]
    assert result["end"]["status"] == "done"


def test_a_reload_a_second_device_and_a_lost_line_see_the_same_text(server: ServerProcess) -> None:
    """Four views of one slow answer, each from another position: every text is the same."""
    first = Device(server.address).connect()
    turn = first.ask("c-1", PACED, model="benchmark")["turn"]
    assert first.seen(turn).moved.wait(10)
    second = Device(server.address, token=first.token, transport="polling").connect()
    assert [running["turn"] for running in second.call("sync")["running"]] == [turn]
    second.attach(turn)
    assert second.seen(turn).moved.wait(10)
    first.leave()  # the line is lost in mid-answer
    reloaded = Device(server.address, token=first.token).connect()  # a page that begins with nothing
    reloaded.attach(turn)
    gevent.sleep(0.3)
    first.connect().attach(turn)  # the same page comes back with what it had
    ends = [device.seen(turn).whole() for device in (first, second, reloaded)]
    assert ends[0] == ends[1] == ends[2]
    assert len({device.seen(turn).text for device in (first, second, reloaded)}) == 1
    repeated = first.ask("c-1", PACED)
    assert repeated["turn"] == turn


def test_a_stop_from_the_second_device_ends_it_for_both(server: ServerProcess) -> None:
    """The same partial text and the same ending on both; the acknowledgement tells its offset and length."""
    first = Device(server.address).connect()
    second = Device(server.address, token=first.token).connect()
    turn = first.ask("c-1", PACED, model="benchmark", window_ms=0)["turn"]
    second.attach(turn)
    assert second.seen(turn).moved.wait(10)
    stopped = second.call("turn_stop", {"turn": turn})
    ends = [device.seen(turn).whole() for device in (first, second)]
    assert ends[0] == ends[1]
    assert (ends[0]["status"], ends[0]["reason"]) == ("stopped", "user")
    assert {name: stopped[name] for name in ("status", "offset", "length")} == {
        name: ends[0][name] for name in ("status", "offset", "length")
    }
    assert "quota_changed" in {event for event, _ in second.notes}
    assert "conversation_changed" in {event for event, _ in first.notes}


def test_a_turn_runs_on_when_everybody_has_left(server: ServerProcess) -> None:
    """The whole answer is there for whoever comes back."""
    device = Device(server.address).connect()
    turn = device.ask("c-1", "a table 表格")["turn"]
    device.leave()
    gevent.sleep(1)
    device.connect().attach(turn)
    assert device.seen(turn).whole()["status"] == "done"


def test_detaching_leaves_the_turn_alone(server: ServerProcess) -> None:
    """After `turn_detach` nothing more comes; an attach goes on from there."""
    device = Device(server.address).connect()
    turn = device.ask("c-1", PACED, model="benchmark", window_ms=0)["turn"]
    assert device.seen(turn).moved.wait(10)
    assert device.call("turn_detach", {"turn": turn}) == {"ok": True}
    last = device.seen(turn).last
    gevent.sleep(0.5)
    assert device.seen(turn).last == last
    device.attach(turn)
    assert device.call("turn_stop", {"turn": turn})["ok"]
    assert device.seen(turn).whole()["status"] == "stopped"


def test_a_killed_server_keeps_what_it_had_saved(tmp_path: Path) -> None:
    """After SIGKILL and a new start the turn ends `interrupted`, once, and the text is what was saved of it."""
    server = ServerProcess(tmp_path / "data", CHECKPOINT_S="0.1", BENCHMARK_MODELS="1").start()
    try:
        device = Device(server.address).connect()
        turn = device.ask("c-1", PACED, model="benchmark", window_ms=0)["turn"]
        seen = device.seen(turn)
        assert seen.moved.wait(10)
        gevent.sleep(1)
        shown = seen.text
        server.kill()
        server.start()
        device.connect()
        answer = device.attach(turn)
        assert (answer["status"], answer["epoch"]) == ("interrupted", 2)
        end = seen.whole()
        assert (end["status"], end["reason"], end["error"]["code"]) == ("interrupted", "shutdown", "interrupted")
        assert shown.startswith(seen.text)
        assert seen.text
        assert device.call("turn_start", {"client_id": "c-1", "text": "x"})["turn"] == turn
    finally:
        server.stop()


def test_a_terminated_server_ends_answers_and_exits_with_zero(tmp_path: Path) -> None:
    """SIGTERM: what still runs after the grace ends as interrupted, stored whole; nobody is left hanging."""
    server = ServerProcess(tmp_path / "data", DRAIN_S="0.2", BENCHMARK_MODELS="1").start()
    device = Device(server.address).connect()
    turn = device.ask("c-1", PACED, model="benchmark", window_ms=0)["turn"]
    assert device.seen(turn).moved.wait(10)
    assert server.stop() == 0
    end = device.seen(turn).whole()
    assert (end["status"], end["reason"]) == ("interrupted", "shutdown")
    server.start()
    try:
        later = Device(server.address, token=device.token).connect()
        later.attach(turn)
        assert later.seen(turn).whole()["sha256"] == end["sha256"]
    finally:
        server.stop()
