"""Everything that workers share also works where the keys live on several nodes."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gevent
import pytest

import config
from services.clock import SystemClock
from services.errors import RateLimited
from services.notes import Notes
from services.sharing import Sharing
from tests.redis_server import RedisCluster, RedisPair, redis_url  # noqa: F401


@pytest.fixture(params=["cluster", "sentinel"])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    with RedisCluster(tmp_path) if request.param == "cluster" else RedisPair(tmp_path) as servers:
        yield servers.url


def test_two_workers_share_it_all(address: str) -> None:
    """Limits of forty keys, running turns of forty users, a lock, a breaker, a note."""
    settings = config.load({"REDIS_URL": address, "MAX_RUNNING_TURNS": "2"})
    one, other = Sharing(settings, SystemClock()), Sharing(settings, SystemClock())
    try:
        limits = [worker.rate_limit("asks", per_minute=1, burst=1) for worker in (one, other)]
        doors = [worker.admission(settings.turns) for worker in (one, other)]
        for number in range(40):
            user = f"u_{number}"
            assert [limit.take(user) > 0 for limit in limits if limit is not None] == [False, True]
            for door in doors:
                door.enter(user)
            with pytest.raises(RateLimited):
                doors[0].enter(user)

        throttles = [worker.throttle("people") for worker in (one, other)]
        with pytest.raises(RateLimited):
            for number in range(20):
                throttle = throttles[number % 2]
                assert throttle is not None
                throttle.begin("ann", "10.0.0.1")

        here, there = one.breaker("deepseek"), other.breaker("deepseek")
        for _ in range(5):
            here.failed()
        told: list[tuple[str, str, dict[str, Any]]] = []
        notes, far = Notes(), Notes()
        far.subscribe(lambda *note: told.append(note))
        one.join(notes)
        other.join(far)
        assert other.bulletin is not None
        assert other.bulletin.hearing.wait(20)
        notes.quota_changed("u_1", tokens=5, pictures=1)
        with gevent.Timeout(30, AssertionError("It never came.")):
            while not (there.is_open and told):
                gevent.sleep(0.05)
        assert not there.allows()
        assert told == [("u_1", "quota_changed", {"tokens": 5, "pictures": 1})]
        assert [worker.redis_answers() for worker in (one, other)] == [True, True]
    finally:
        one.close()
        other.close()


def test_servers_with_different_secrets_say_so(redis_url: str, caplog: pytest.LogCaptureFixture) -> None:  # noqa: F811
    """Those with the same are silent."""
    settings = config.load({"REDIS_URL": redis_url, "REDIS_PREFIX": f"test-{uuid.uuid4().hex}"})
    servers = [Sharing(settings, SystemClock()) for _ in range(3)]
    for server, secret in zip(servers, ("one", "one", "other"), strict=True):
        server.compare_secrets(secret)
        assert server.bulletin is not None
        assert server.bulletin.hearing.wait(20)
    with gevent.Timeout(30, AssertionError("Nobody said so.")):
        while len(caplog.records) < 2:
            gevent.sleep(0.02)
    for server in servers:
        server.close()
    assert {record.levelname for record in caplog.records} == {"ERROR"}
    assert "FLASK_SECRET_KEY" in caplog.text
