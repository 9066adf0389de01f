"""What one worker posts every other hears, whatever happens to Redis meanwhile; nobody waits for it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from typing import Any

import gevent
import pytest

from services.wire.bulletin import MAX_CHARS, Bulletin
from services.wire.redis_link import RedisLink
from tests.redis_server import RedisProcess, own_redis  # noqa: F401


class Worker:
    """One that posts, and keeps what it hears."""

    def __init__(self, url: str) -> None:
        self._link = RedisLink(url, timeout_s=0.5)
        self.bulletin = Bulletin(self._link)
        self.heard: list[dict[str, Any]] = []
        self.bulletin.subscribe("note", self.heard.append)
        assert self.bulletin.hearing.wait(20)

    def numbers(self) -> list[int]:
        """What it heard, without what came twice."""
        return list(dict.fromkeys(said["n"] for said in self.heard))

    def close(self) -> None:
        self.bulletin.close()
        self._link.close()


@pytest.fixture
def pair(own_redis: RedisProcess) -> Iterator[tuple[Worker, Worker]]:  # noqa: F811
    workers = Worker(own_redis.url), Worker(own_redis.url)
    yield workers
    for worker in workers:
        worker.close()


def until(holds: Callable[[], bool]) -> None:
    with gevent.Timeout(30, AssertionError("It never came.")):
        while not holds():
            gevent.sleep(0.02)


def test_others_hear_in_order_and_the_poster_does_not(pair: tuple[Worker, Worker]) -> None:
    here, there = pair
    for number in range(300):
        here.bulletin.post("note", {"n": number, "text": "春眠"})
    until(lambda: len(there.heard) == 300)
    assert there.numbers() == list(range(300))
    assert there.heard[0] == {"n": 0, "text": "春眠"}
    assert here.heard == []


@pytest.mark.parametrize("fault", ["killed", "hanging", "full"])
def test_an_outage_costs_time_and_no_note(
    pair: tuple[Worker, Worker],
    own_redis: RedisProcess,  # noqa: F811
    fault: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """What was posted meanwhile comes after. One line tells of each end that waits, and one of its return."""
    caplog.set_level(logging.WARNING, "services.wire.bulletin")
    here, there = pair
    here.bulletin.post("note", {"n": 0})
    until(lambda: there.numbers() == [0])
    if fault == "killed":
        own_redis.kill()
    elif fault == "hanging":
        own_redis.pause()
    else:
        own_redis.ask("CONFIG", "SET", "maxmemory", "1")
    here.bulletin.post("note", {"n": 1})
    until(lambda: len(caplog.records) == (1 if fault == "full" else 3))
    here.bulletin.post("note", {"n": 2})
    assert here.bulletin.waiting == 2
    if fault == "killed":
        own_redis.start()
    elif fault == "hanging":
        own_redis.resume()
    else:
        own_redis.ask("CONFIG", "SET", "maxmemory", "0")
    here.bulletin.post("note", {"n": 3})
    until(lambda: there.numbers() == [0, 1, 2, 3])
    until(lambda: len(caplog.records) == (2 if fault == "full" else 6))


def test_what_is_no_note_is_passed_over(pair: tuple[Worker, Worker], own_redis: RedisProcess) -> None:  # noqa: F811
    """Whoever may write to Redis may write anything: the workers go on hearing each other."""
    here, there = pair
    key = own_redis.ask("KEYS", "*bulletin")
    assert key == [], "nothing was posted yet"
    here.bulletin.post("note", {"n": 0})
    until(lambda: there.numbers() == [0])
    (key,) = own_redis.ask("KEYS", "*bulletin")
    for topic, said in (
        ("note", "not JSON"),
        ("note", "[1, 2]"),
        ("note", "[" * 10_000),
        ("note", '{"n": "' + "x" * MAX_CHARS + '"}'),
        ("note", b"\x80\x04\x95\x0f\x00\x00\x00\x00\x00\x00\x00\x8c\x05posix\x94."),
        ("disconnect", '{"n": 7}'),
        (b"\xff", '{"n": 8}'),
    ):
        own_redis.ask("XADD", key, "*", "from", "w_x", "topic", topic, "said", said)
    own_redis.ask("XADD", key, "*", "method", "emit")
    own_redis.ask("PUBLISH", "parley", '{"method": "disconnect", "sid": "x", "namespace": "/text"}')
    here.bulletin.post("note", {"n": 1})
    until(lambda: there.numbers() == [0, 1])


def test_a_worker_that_stops_posts_what_is_left(own_redis: RedisProcess) -> None:  # noqa: F811
    here, there = Worker(own_redis.url), Worker(own_redis.url)
    for number in range(250):
        here.bulletin.post("note", {"n": number})
    here.close()
    until(lambda: there.numbers() == list(range(250)))
    there.close()


def test_the_stream_stays_small(pair: tuple[Worker, Worker], own_redis: RedisProcess) -> None:  # noqa: F811
    here, there = pair
    for number in range(4_000):
        here.bulletin.post("note", {"n": number})
    until(lambda: bool(there.heard) and there.heard[-1]["n"] == 3_999)
    (key,) = own_redis.ask("KEYS", "*bulletin")
    assert own_redis.ask("XLEN", key) < 3_000
