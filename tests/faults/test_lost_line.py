"""The network between clients and server goes silent: whoever comes back reads on from where he was."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.line import line_to
from tests.faults.waiting import PACED, until
from tests.owned import free_port
from tests.processes import ServerProcess
from tests.viewers import Device

DEVICES = 4


@pytest.fixture
def port() -> int:
    """Where clients find the line."""
    return free_port()


@pytest.fixture
def server(tmp_path: Path, port: int) -> Iterator[ServerProcess]:
    own = free_port()
    origins = f"http://127.0.0.1:{own},http://127.0.0.1:{port}"
    server = ServerProcess(tmp_path / "data", PORT=str(own), ALLOWED_ORIGINS=origins, BENCHMARK_MODELS="1").start()
    yield server
    server.stop()


@pytest.mark.parametrize("transport", ["websocket", "polling"])
@pytest.mark.parametrize("lost", [False, True], ids=["silent", "lost"])
def test_clients_read_on_after_a_silence(server: ServerProcess, port: int, transport: str, lost: bool) -> None:
    """Some wait the silence out on their old connection, others must make a new one: each has every piece once.

    The turn ends while nothing passes, which somebody on another line sees.
    """
    witness = Device(server.address).connect()
    turn = witness.ask("c-1", PACED, model="benchmark")["turn"]
    with line_to(server.address, port) as line:
        devices = [Device(line.address, token=witness.token, transport=transport).connect() for _ in range(DEVICES)]
        for device in devices:
            device.attach(turn)
        until(lambda: all(device.seen(turn).text for device in devices))
        line.cut()
        end = witness.seen(turn).whole()
        assert not any(device.seen(turn).ended.is_set() for device in devices)
        if lost:
            line.forget()
        line.mend()

        for device in devices:
            if lost:
                before = device.seen(turn).text
                device.connect().attach(turn)
                assert device.seen(turn).text.startswith(before)
            assert device.seen(turn).whole() == end
            assert device.seen(turn).text == witness.seen(turn).text
        again = witness.ask("c-2", "hi")["turn"]
        assert witness.seen(again).whole()["status"] == "done"
        for device in devices:
            device.leave()
