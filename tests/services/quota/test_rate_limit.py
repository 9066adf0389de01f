"""A bucket in memory is bounded."""

from __future__ import annotations

from services.quota.rate_limit import RateLimit
from tests.clocks import FakeClock


def test_the_key_unused_longest_is_forgotten(clock: FakeClock) -> None:
    limit = RateLimit(clock, per_minute=30, burst=3, max_keys=2)
    for _ in range(3):
        limit.take("ann")
    limit.take("bob")
    limit.take("ann")
    limit.take("eve")  # bob goes

    assert limit.take("ann") > 0
    assert [limit.take("bob") for _ in range(4)] == [0, 0, 0, 2]
