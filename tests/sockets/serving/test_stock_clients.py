"""Clients as people install them."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
import socketio
from gevent.queue import Queue

from tests.node import node
from tests.sockets.serving.conftest import Served

TRANSPORTS = ["websocket", "polling", "polling,websocket"]


@pytest.mark.parametrize("transports", TRANSPORTS)
def test_the_javascript_client(served: Served, transports: str) -> None:
    """Node runs the client of `package.json`; it is served as by Node's own server, upgrade included."""
    script = Path(__file__).with_name("echo_client.mjs")
    result = subprocess.run(
        [node(), script, served.url, transports], capture_output=True, text=True, timeout=60, check=False
    )
    assert result.returncode == 0, result.stderr
    seen = {name: values for name, *values in map(json.loads, result.stdout.splitlines())}
    assert seen["refused"] == ["Wrong token.", {"code": "unauthenticated", "message": "Wrong token."}]
    assert seen["unknown"][1]["code"] == "not_found"
    assert seen["welcome"] == [{"protocol": 1}]
    assert seen["transport"] == [transports.rpartition(",")[2]]
    assert seen["many"] == [[*range(40)]]
    assert seen["binary"] == [3, [1, 2, 3]]
    assert seen["text"] == ["春眠不觉晓 😀"]
    assert seen["disconnect"] == ["io server disconnect"]


@pytest.mark.parametrize("transports", TRANSPORTS)
def test_the_python_client(served: Served, transports: str) -> None:
    client = socketio.Client(reconnection=False)
    seen: Queue[Any] = Queue()
    client.on("welcome", seen.put, namespace="/echo")
    client.connect(served.url, namespaces=["/echo"], transports=transports.split(","), auth={"token": "good"})
    assert seen.get(timeout=10) == {"protocol": 1}
    assert client.transport() == transports.rpartition(",")[2]
    assert client.call("echo", {"at": 3, "pcm": b"\x01\x02"}, namespace="/echo") == {"at": 3, "pcm": b"\x01\x02"}
    assert client.call("inline", ("春眠", 1), namespace="/echo") == ("春眠", 1)
    client.disconnect()
    assert [served.next()[0] for _ in range(3)] == ["connect", "echo", "disconnect"]


@pytest.mark.parametrize("transports", TRANSPORTS)
def test_the_python_client_is_told_why_it_is_refused(served: Served, transports: str) -> None:
    client = socketio.Client(reconnection=False)
    refusals: Queue[Any] = Queue()
    client.on("connect_error", refusals.put, namespace="/echo")
    with pytest.raises(socketio.exceptions.ConnectionError):
        client.connect(
            served.url, namespaces=["/echo"], transports=transports.split(","), auth={"token": "bad"}, wait_timeout=10
        )
    assert refusals.get(timeout=10)["code"] == "unauthenticated"
    client.disconnect()
