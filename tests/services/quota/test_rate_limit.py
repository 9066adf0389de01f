"""A bucket lets a burst through, then its rate; time is monotonic and memory bounded."""

from __future__ import annotations

import pytest

from services.quota.rate_limit import RateLimit
from tests.clocks import FakeClock


@pytest.fixture
def limit(clock: FakeClock) -> RateLimit:
    return RateLimit(clock, per_minute=30, burst=3, max_keys=2)


def test_a_burst_then_one_every_two_seconds(limit: RateLimit, clock: FakeClock) -> None:
    assert [limit.take("ann") for _ in range(4)] == [0, 0, 0, 2]
    clock.advance(1.5)
    assert limit.take("ann") == pytest.approx(0.5)
    clock.advance(0.5)
    assert [limit.take("ann"), limit.take("ann")] == [0, 2]


def test_a_refusal_takes_nothing(limit: RateLimit, clock: FakeClock) -> None:
    """Whoever keeps asking waits no longer for it."""
    for _ in range(50):
        limit.take("ann")
    clock.advance(2)
    assert limit.take("ann") == 0


def test_keys_do_not_touch_each_other(limit: RateLimit) -> None:
    assert [limit.take("ann") for _ in range(4)][-1] > 0
    assert limit.take("bob") == 0


def test_the_key_unused_longest_is_forgotten(limit: RateLimit) -> None:
    for _ in range(3):
        limit.take("ann")
    limit.take("bob")
    limit.take("ann")
    limit.take("eve")  # bob goes

    assert limit.take("ann") > 0
    assert [limit.take("bob") for _ in range(4)] == [0, 0, 0, 2]
