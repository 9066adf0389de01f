"""What can do without Redis goes on without it: nobody is refused, nobody waits twice, and it is shared again after."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import gevent
import pytest
from gevent.monkey import get_original

from services.accounts.shared_throttle import SharedLoginThrottle
from services.quota.shared_rate_limit import SharedRateLimit
from services.turns.shared_places import SharedPlaces
from services.wire.redis_gate import AT_ONCE, LIMIT_S, RedisGate, Unreachable
from services.wire.redis_link import RedisLink, Script
from tests.clocks import FakeClock
from tests.redis_server import RedisProcess, own_redis  # noqa: F401

ECHO = Script("return ARGV[1]")
stand_still = get_original("time", "sleep")


@pytest.fixture
def gate(own_redis: RedisProcess) -> Iterator[RedisGate]:  # noqa: F811
    gate = RedisGate(RedisLink(own_redis.url, timeout_s=0.5))
    yield gate
    gate.close()
    gate.link.close()


def answers(gate: RedisGate) -> bool:
    try:
        return bool(gate.run(ECHO, [gate.link.key(0, "any")], ["yes"]) == b"yes")
    except Unreachable:
        return False


def opened(gate: RedisGate) -> None:
    with gevent.Timeout(30, AssertionError("The gate did not open again.")):
        while not gate.is_open:
            gevent.sleep(0.05)


@pytest.mark.parametrize("fault", ["killed", "hanging", "full"])
def test_an_outage_is_noticed_once_and_its_end_too(
    gate: RedisGate,
    own_redis: RedisProcess,  # noqa: F811
    fault: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Limits go on as this worker's own meanwhile: never refused for Redis' sake, never without bound."""
    caplog.set_level(logging.WARNING, "services.wire.redis_gate")
    assert answers(gate)
    limit = SharedRateLimit(gate, FakeClock(), name="asks", per_minute=60, burst=3)
    places = SharedPlaces(gate, FakeClock())
    if fault == "killed":
        own_redis.kill()
    elif fault == "hanging":
        own_redis.pause()
    else:
        own_redis.ask("CONFIG", "SET", "maxmemory", "1")
    many = [gevent.spawn(limit.take, "ann") for _ in range(50)]
    gevent.joinall(many, timeout=20, raise_error=True)
    assert [one.value for one in many].count(0) == 3
    assert not gate.is_open
    assert [places.take("ann", 2) for _ in range(3)] == [True, True, False]
    SharedLoginThrottle(gate, FakeClock(), name="people").begin("ann", "10.0.0.1")
    assert len(caplog.records) == 1

    if fault == "killed":
        own_redis.start()
    elif fault == "hanging":
        own_redis.resume()
    else:
        own_redis.ask("CONFIG", "SET", "maxmemory", "0")
    opened(gate)
    assert answers(gate)
    other = SharedPlaces(gate, FakeClock())
    places.renew()
    assert not other.take("ann", 2), "what was let in meanwhile counts"
    places.close()
    assert other.take("ann", 2)
    other.close()
    assert len(caplog.records) == 2


def test_a_caller_that_is_stopped_spoils_nothing(gate: RedisGate, own_redis: RedisProcess) -> None:  # noqa: F811
    """Its question is answered to nobody; the next one gets its own answer."""
    assert answers(gate)
    own_redis.pause()
    asking = gevent.spawn(gate.run, ECHO, [gate.link.key(0, "any")], ["lost"])
    gevent.sleep(0)
    gevent.sleep(0)
    asking.kill()
    own_redis.resume()
    opened(gate)
    assert answers(gate)


def test_a_crowd_shares_a_few_connections(gate: RedisGate, own_redis: RedisProcess) -> None:  # noqa: F811
    """Nobody is sent away for it."""
    limit = SharedRateLimit(gate, FakeClock(), name="asks", per_minute=60, burst=5)
    crowd = [gevent.spawn(limit.take, f"user {number}") for number in range(200)]
    gevent.joinall(crowd, timeout=60, raise_error=True)
    assert gate.is_open
    assert own_redis.ask("INFO", "clients")["connected_clients"] <= AT_ONCE + 1


def test_a_standstill_of_the_process_is_not_redis_being_away(gate: RedisGate) -> None:
    """It was this worker that did not answer: what it asked is asked once more, and the limit stays shared."""
    limit = SharedRateLimit(gate, FakeClock(), name="asks", per_minute=60, burst=5)
    limit.take("ann")
    for _ in range(3):
        asking = gevent.spawn(limit.take, "bob")
        gevent.sleep(0)
        gevent.sleep(0)
        stand_still(2 * LIMIT_S)
        asking.get(timeout=20)
        assert gate.is_open
