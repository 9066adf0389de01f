"""A provider that keeps failing is left alone, then tried by one caller at a time: of all workers."""

from __future__ import annotations

import gevent
import pytest

from services.providers.breaker import Breaker
from services.providers.shared_breaker import BreakerBoard
from tests.passing_time import Workers


class Desk:
    """A worker's breaker of one provider."""

    def __init__(self, workers: Workers) -> None:
        gate = workers.gate()
        self.board = BreakerBoard(gate, workers.clock) if gate is not None else None
        self.breaker = self.board.breaker("deepseek") if self.board is not None else Breaker(clock=workers.clock)
        if self.board is not None:
            self.board.close()  # its background could read while time is made to pass: `hear` does its work

    def hear(self) -> None:
        """What the background does within a second."""
        if self.board is not None:
            self.board.refresh()


@pytest.fixture
def desk(workers: Workers) -> Desk:
    return Desk(workers)


@pytest.fixture
def desks(joined: Workers) -> list[Desk]:
    return [Desk(joined), Desk(joined)]


def fail(desk: Desk, times: int = 5) -> None:
    for _ in range(times):
        desk.breaker.failed()
    desk.hear()


def test_opens_after_failures_in_a_row_and_lets_one_through_per_rest(desk: Desk, workers: Workers) -> None:
    breaker = desk.breaker
    fail(desk, 4)
    assert breaker.allows()
    fail(desk, 1)
    assert [breaker.is_open, breaker.allows()] == [True, False]
    workers.pass_s(15)
    assert [breaker.is_open, breaker.allows(), breaker.allows()] == [False, True, False]
    fail(desk, 1)
    workers.pass_s(14)
    assert not breaker.allows()
    workers.pass_s(1)
    assert breaker.allows()
    breaker.succeeded()
    desk.hear()
    assert [breaker.allows(), breaker.allows()] == [True, True]


def test_a_success_between_failures_starts_the_count_again(desk: Desk) -> None:
    for _ in range(3):
        fail(desk, 4)
        desk.breaker.succeeded()
        desk.hear()
    assert not desk.breaker.is_open


def test_what_one_worker_learned_the_other_knows(desks: list[Desk], joined: Workers) -> None:
    """That the provider fails, and that it is well again."""
    one, other = desks
    fail(one)
    other.hear()
    assert other.breaker.is_open
    assert not other.breaker.allows()
    joined.pass_s(15)
    assert one.breaker.allows()
    one.breaker.succeeded()
    one.hear()
    other.hear()
    assert [other.breaker.allows(), other.breaker.allows()] == [True, True]


def test_one_caller_of_all_workers_is_let_through_per_rest(desks: list[Desk], joined: Workers) -> None:
    fail(desks[0])
    desks[1].hear()
    joined.pass_s(15)
    asked = [gevent.spawn(desks[number % 2].breaker.allows) for number in range(20)]
    gevent.joinall(asked, timeout=30, raise_error=True)
    assert sum(one.value for one in asked) == 1


def test_a_worker_that_began_later_knows_too(desks: list[Desk], joined: Workers) -> None:
    fail(desks[0])
    third = Desk(joined)
    third.hear()
    assert not third.breaker.allows()
    assert third.board is not None
    third.board.close()
