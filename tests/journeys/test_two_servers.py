"""Two servers on one database, joined by Redis: a user's devices hear of each other's doings."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gevent
import pytest

from tests.processes import ServerProcess
from tests.redis_server import redis_url  # noqa: F401
from tests.viewers import Device


@pytest.fixture
def servers(tmp_path: Path, migrated_mariadb_url: str, redis_url: str) -> Iterator[list[ServerProcess]]:  # noqa: F811
    env = {"DATABASE_URL": migrated_mariadb_url, "REDIS_URL": redis_url}
    servers = [ServerProcess(tmp_path / name, **env).start() for name in ("one", "other")]
    yield servers
    for server in servers:
        server.stop()


def test_notes_reach_a_device_on_the_other_server(servers: list[ServerProcess]) -> None:
    """`conversation_changed` and `quota_changed` cross; the stored answer can be followed from either."""
    here = Device(servers[0].address).connect()
    there = Device(servers[1].address, token=here.token).connect()
    started = here.ask("c-1", "hi")
    end = here.seen(started["turn"]).whole()
    _until(lambda: {"conversation_changed", "quota_changed"} <= {event for event, _ in there.notes})
    assert there.notes[0][1]["conversation"] == started["conversation"]
    there.attach(started["turn"])
    assert there.seen(started["turn"]).whole() == end
    assert there.call("turn_start", {"client_id": "c-1", "text": "hi"})["turn"] == started["turn"]
    assert not [event for event, _ in there.notes if event.startswith("turn_")]


def _until(true: Any) -> None:
    with gevent.Timeout(10, AssertionError("It never became true.")):
        while not true():
            gevent.sleep(0.02)
