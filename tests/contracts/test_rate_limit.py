"""A bucket lets a burst through, then its rate: over all workers where they share it."""

from __future__ import annotations

import gevent

from services.quota.rate_limit import RateLimit
from services.quota.shared_rate_limit import SharedRateLimit
from tests.passing_time import Workers


def limit_of(workers: Workers, name: str = "asks") -> RateLimit:
    if (gate := workers.gate()) is None:
        return RateLimit(workers.clock, per_minute=30, burst=3)
    return SharedRateLimit(gate, workers.clock, name=name, per_minute=30, burst=3)


def test_a_burst_then_one_every_two_seconds(workers: Workers) -> None:
    limit = limit_of(workers)
    assert [limit.take("ann") for _ in range(3)] == [0, 0, 0]
    assert 1 < limit.take("ann") <= 2
    workers.pass_s(2)
    assert limit.take("ann") == 0
    assert limit.take("ann") > 0
    workers.pass_s(3600)
    assert [limit.take("ann") for _ in range(3)] == [0, 0, 0], "it fills up"
    assert limit.take("ann") > 0, "and no further"


def test_a_refusal_takes_nothing(workers: Workers) -> None:
    """Whoever keeps asking waits no longer for it."""
    limit = limit_of(workers)
    for _ in range(50):
        limit.take("ann")
    workers.pass_s(2)
    assert limit.take("ann") == 0


def test_keys_do_not_touch_each_other(workers: Workers) -> None:
    """However they are spelled; an edge may pass what a client wrote."""
    limit = limit_of(workers)
    for key in ("ann", "bob", "", "安", "\ud800"):
        assert [limit.take(key) for _ in range(4)][-1] > 0
        assert limit.take(f"{key}'s") == 0


def test_many_at_once_on_two_workers_get_the_burst(joined: Workers) -> None:
    """Exactly three of forty, whichever worker they ask; another limit's buckets are its own."""
    both = [limit_of(joined), limit_of(joined)]
    asked = [gevent.spawn(both[number % 2].take, "ann") for number in range(40)]
    gevent.joinall(asked, timeout=30, raise_error=True)
    assert sorted(one.value for one in asked)[:4].count(0) == 3
    assert limit_of(joined, "other").take("ann") == 0


def test_no_bucket_outlives_its_use(joined: Workers) -> None:
    """Nothing is kept of a key that would have a full bucket anyway."""
    limit = limit_of(joined)
    limit.take("ann")
    joined.pass_s(30)
    gate = joined.gate()
    assert gate is not None
    assert gate.link.ask(lambda client: list(client.scan_iter(f"{gate.link.prefix}:*"))) == []
