"""The disk is full, or another program holds the database: reading goes on, writing is refused and heals."""

from __future__ import annotations

import resource
import sqlite3
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import gevent
import pytest
import requests
from PIL import Image

from tests.faults.waiting import LAST_PIECE, PACED, until
from tests.processes import ServerProcess
from tests.viewers import Device


@pytest.fixture
def database(server: ServerProcess, tmp_path: Path) -> Iterator[sqlite3.Connection]:
    """Another program with the server's database open."""
    connection = sqlite3.connect(tmp_path / "data" / "parley.sqlite3", isolation_level=None)
    yield connection
    connection.close()


def fill(server: ServerProcess) -> None:
    """No file of the server's grows any more: the database, its log, pictures, what it logs."""
    _, hard = resource.prlimit(server.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(server.pid, resource.RLIMIT_FSIZE, (0, hard))


def make_room(server: ServerProcess) -> None:
    _, hard = resource.prlimit(server.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(server.pid, resource.RLIMIT_FSIZE, (hard, hard))


def a_picture() -> bytes:
    file = BytesIO()
    Image.new("RGB", (64, 64), "red").save(file, "PNG")
    return file.getvalue()


def test_a_full_disk_stops_writing_and_nothing_else(server: ServerProcess, database: sqlite3.Connection) -> None:
    """Viewers see their answer go on; turns and pictures are refused with a code; with room again all is stored."""
    device = Device(server.address).connect()
    identity = {"Authorization": f"Bearer {device.token}"}
    started = device.ask("c-1", PACED, model="benchmark", window_ms=0)
    seen = device.seen(started["turn"])
    assert seen.moved.wait(10)
    fill(server)
    refused = device.call("turn_start", {"client_id": "c-2", "text": "hi"})
    assert refused["error"]["code"] == "server_busy"
    upload = requests.post(
        f"{server.address}/v1/pictures", data=a_picture(), headers={**identity, "Content-Type": "image/png"}, timeout=30
    )
    assert (upload.status_code, upload.json()["error"]["code"]) == (503, "server_busy")
    listed = requests.get(f"{server.address}/v1/conversations", headers=identity, timeout=30)
    assert [one["id"] for one in listed.json()["conversations"]] == [started["conversation"]]
    assert requests.get(f"{server.address}/healthz", timeout=30).status_code == 200
    until(lambda: seen.text.endswith(LAST_PIECE))
    make_room(server)

    assert seen.whole()["status"] == "done"
    again = device.ask("c-2", "hi")
    assert device.seen(again["turn"]).whole()["status"] == "done"
    assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    rows = database.execute("SELECT text FROM message WHERE id = ?", (started["message"],)).fetchall()
    assert rows == [(seen.text,)]


def test_a_database_another_program_holds_is_waited_for_and_then_told(
    server: ServerProcess, database: sqlite3.Connection
) -> None:
    """Meanwhile nobody's reading waits, and what was refused works when the lock is free."""
    device = Device(server.address).connect()
    headers = {"Authorization": f"Bearer {device.token}"}
    address = f"{server.address}/v1/conversations"
    assert requests.get(address, headers=headers, timeout=30).status_code == 200  # its first notes the token's use
    database.execute("BEGIN IMMEDIATE")
    asking = gevent.spawn(device.call, "turn_start", {"client_id": "c-1", "text": "hi"})
    assert requests.get(address, headers=headers, timeout=30).status_code == 200
    assert not asking.ready()
    assert asking.get()["error"]["code"] == "server_busy"
    database.execute("COMMIT")

    assert device.seen(device.ask("c-1", "hi")["turn"]).whole()["status"] == "done"
