"""One request needs more memory than there is: it fails, and nobody else notices."""

from __future__ import annotations

import resource
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import requests

from tests.faults.waiting import PACED
from tests.processes import ServerProcess
from tests.viewers import Device

ROOM_BYTES = 4_000_000
LARGE_BYTES = 10_000_000
"""What a picture may have, and more than there is room for."""


def writable_bytes(server: ServerProcess) -> int:
    """What it holds of the memory that `RLIMIT_DATA` counts: all that is its own and can be written."""
    status = Path(f"/proc/{server.pid}/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("VmData:")).split()[1]) * 1024


def test_a_request_without_memory_fails_alone(server: ServerProcess) -> None:
    """Its answer is a refusal with a code; the answer that streams meanwhile is whole, and so are later ones."""
    device = Device(server.address).connect()
    headers = {"Authorization": f"Bearer {device.token}"}
    device.seen(device.ask("c-0", "hi")["turn"]).whole()  # everything that is made once is there
    picture = {**headers, "Content-Type": "image/png"}
    requests.post(f"{server.address}/v1/pictures", data=b"no picture", headers=picture, timeout=30)
    hard = resource.prlimit(server.pid, resource.RLIMIT_DATA)[1]
    resource.prlimit(server.pid, resource.RLIMIT_DATA, (writable_bytes(server) + ROOM_BYTES, hard))

    seen = device.seen(device.ask("c-1", PACED, model="benchmark", window_ms=0)["turn"])
    assert seen.moved.wait(10)
    with ThreadPoolExecutor(4) as several:
        posts = [
            several.submit(
                requests.post, f"{server.address}/v1/pictures", data=bytes(LARGE_BYTES), headers=picture, timeout=60
            )
            for _ in range(4)
        ]
        answers = [post.result() for post in posts]
    codes = {answer.status_code for answer in answers}
    assert 500 in codes
    assert codes <= {500, 415}, "one that found room is told that it is no picture"
    assert all(answer.json()["error"]["code"] for answer in answers)
    assert "MemoryError" in server.log.read_text()
    assert seen.whole()["status"] == "done"

    again = device.ask("c-2", "hi")["turn"]
    assert device.seen(again).whole()["status"] == "done"
    assert requests.get(f"{server.address}/readyz", timeout=30).status_code == 200
