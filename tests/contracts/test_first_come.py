"""What only one may use is the first one's, on whichever worker the second tries it."""

from __future__ import annotations

import gevent

from services.accounts.first_come import FirstCome
from services.accounts.shared_first_come import SharedFirstCome
from tests.passing_time import Workers


def memory_of(workers: Workers) -> FirstCome:
    if (gate := workers.gate()) is None:
        return FirstCome(workers.clock, life_s=600)
    return SharedFirstCome(gate, workers.clock, name="signatures", life_s=600)


def test_the_first_may_come_again_and_nobody_else(workers: Workers) -> None:
    """As long as it counts."""
    memory = memory_of(workers)
    assert [memory.is_first("s", "10.0.0.1") for _ in range(2)] == [True, True]
    assert not memory.is_first("s", "10.0.0.2")
    assert memory.is_first("other", "10.0.0.2")
    workers.pass_s(601)
    assert memory.is_first("s", "10.0.0.2")


def test_of_many_at_once_on_two_workers_one_is_first(joined: Workers) -> None:
    both = [memory_of(joined), memory_of(joined)]
    asked = [gevent.spawn(both[number % 2].is_first, "s", f"10.0.0.{number}") for number in range(20)]
    gevent.joinall(asked, timeout=30, raise_error=True)
    assert sum(one.value for one in asked) == 1
