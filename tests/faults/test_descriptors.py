"""No file descriptor is left: newcomers wait, those who are there notice nothing, and it passes."""

from __future__ import annotations

import resource
import socket
from contextlib import ExitStack
from pathlib import Path

import requests

from tests.faults.waiting import PACED, until
from tests.processes import ServerProcess
from tests.viewers import Device


def open_files(server: ServerProcess) -> int:
    return len(list(Path(f"/proc/{server.pid}/fd").iterdir()))


def test_a_server_without_descriptors_serves_those_it_has(server: ServerProcess) -> None:
    """Forty who connect where there is room for eight keep nobody from their answer, and are served in the end."""
    device = Device(server.address).connect()
    seen = device.seen(device.ask("c-0", "hi")["turn"])
    seen.whole()  # every pool has what it needs
    limit = open_files(server) + 8
    hard = resource.prlimit(server.pid, resource.RLIMIT_NOFILE)[1]
    resource.prlimit(server.pid, resource.RLIMIT_NOFILE, (limit, hard))
    host, port = server.address.removeprefix("http://").split(":")
    with ExitStack() as crowd:
        waiting = [crowd.enter_context(socket.create_connection((host, int(port)), 30)) for _ in range(40)]
        until(lambda: open_files(server) >= limit)

        turn = device.ask("c-1", PACED, model="benchmark")["turn"]
        assert device.seen(turn).whole()["status"] == "done"
        assert open_files(server) <= limit

        for one in waiting[:20]:
            one.close()
        waiting[-1].settimeout(30)
        waiting[-1].sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        for one in waiting[20:-1]:
            one.close()
        assert b" 200 " in waiting[-1].recv(100)
    assert requests.get(f"{server.address}/healthz", timeout=30).status_code == 200
    assert Device(server.address, token=device.token).connect().call("sync")["ok"]
    assert "Too many open files" in server.log.read_text()
