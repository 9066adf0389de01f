"""Somebody sets the machine's clock: nobody is cut off, and nobody gets anything for nothing."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.waiting import PACED
from tests.processes import ServerProcess
from tests.viewers import Device

HOUR_S = 3600
TURNS = 2


@pytest.fixture
def wrong_by(tmp_path: Path) -> Path:
    """What the server's clock is wrong by, in seconds."""
    return tmp_path / "wrong-by"


@pytest.fixture
def server(tmp_path: Path, wrong_by: Path) -> Iterator[ServerProcess]:
    env = {"PYTHONPATH": str(Path(__file__).parent / "moved_clock"), "WRONG_BY_FILE": str(wrong_by)}
    server = ServerProcess(
        tmp_path / "data", BENCHMARK_MODELS="1", TURNS_PER_MINUTE=str(TURNS), INITIAL_TOKENS="5000", **env
    ).start()
    yield server
    server.stop()


@pytest.mark.parametrize("jump_s", [HOUR_S, -HOUR_S])
@pytest.mark.parametrize("transport", ["websocket", "polling"])
def test_a_clock_that_jumps_changes_no_limit(
    server: ServerProcess, wrong_by: Path, jump_s: int, transport: str
) -> None:
    """The answer under way ends whole on the same connection; the turns of this minute stay used up, and paid."""
    device = Device(server.address, transport=transport).connect()
    gone = device.gone()
    seen = device.seen(device.ask("c-0", PACED, model="benchmark")["turn"])
    assert seen.moved.wait(10)
    wrong_by.write_text(str(jump_s))

    assert seen.whole()["status"] == "done"
    spent = seen.end["charged"]
    for number in range(1, TURNS):
        turn = device.ask(f"c-{number}", "hi")["turn"]
        spent += device.seen(turn).whole()["charged"]
    refused = device.call("turn_start", {"client_id": "c-more", "text": "hi"})
    assert refused["error"]["code"] == "rate_limited"
    assert not gone.is_set()
    again = Device(server.address, token=device.token).connect()
    assert again.welcome["quota"]["tokens"] == 5000 - spent
    assert abs(again.welcome["server_time_ms"] / 1000 - time.time() - jump_s) < 600, "the clock was wrong"
