"""Guessing passwords becomes slow, wherever it is tried; who knows the password is not shut out."""

from __future__ import annotations

import gevent
import pytest

from services.accounts.shared_throttle import SharedLoginThrottle
from services.accounts.throttle import ACCOUNT, ADDRESS, LoginThrottle
from services.errors import RateLimited
from tests.passing_time import Workers


def throttle_of(workers: Workers) -> LoginThrottle:
    if (gate := workers.gate()) is None:
        return LoginThrottle(workers.clock)
    return SharedLoginThrottle(gate, workers.clock, name="people")


def tries(throttle: LoginThrottle, account: str, address: str, times: int) -> int:
    """How many were let in."""
    let_in = 0
    for _ in range(times):
        try:
            throttle.begin(account, address)
            let_in += 1
        except RateLimited:
            pass
    return let_in


def test_guessing_at_an_account_costs_longer_and_longer(workers: Workers) -> None:
    """From wherever it comes; a minute forgives one failure, and the wait is told."""
    throttle = throttle_of(workers)
    let_in = sum(tries(throttle, "ann", f"10.0.0.{number}", 1) for number in range(20))
    assert let_in == ACCOUNT.free + 1
    with pytest.raises(RateLimited, check=lambda error: 0 < (error.retry_after_s or 0) <= 2):
        throttle.begin("ann", "10.0.0.99")
    workers.pass_s(2)
    assert tries(throttle, "ann", "10.0.0.98", 3) == 1
    with pytest.raises(RateLimited, check=lambda error: 2 < (error.retry_after_s or 0) <= 4):
        throttle.begin("ann", "10.0.0.97")
    assert tries(throttle, "bob", "10.0.0.1", 1) == 1
    workers.pass_s(3600)
    assert tries(throttle, "ann", "10.0.0.96", 20) == ACCOUNT.free + 1


def test_one_address_cannot_try_every_account(workers: Workers) -> None:
    throttle = throttle_of(workers)
    let_in = sum(tries(throttle, f"user{number}", "10.0.0.1", 1) for number in range(60))
    assert let_in == ADDRESS.free + 1
    assert tries(throttle, "user1", "10.0.0.2", 1) == 1


def test_the_owner_is_not_shut_out_by_strangers(workers: Workers) -> None:
    """Where it has signed in before, only failures from there count; a success forgives them."""
    throttle = throttle_of(workers)
    throttle.begin("ann", "10.0.0.1")
    throttle.succeed("ann", "10.0.0.1")
    assert tries(throttle, "ann", "10.9.9.9", 20) == ACCOUNT.free + 1
    for _ in range(2 * ADDRESS.free):
        throttle.begin("ann", "10.0.0.1")
        throttle.succeed("ann", "10.0.0.1")
    assert tries(throttle, "ann", "10.0.0.1", 20) == ACCOUNT.free + 1


def test_without_an_address_the_account_counts_alone(workers: Workers) -> None:
    throttle = throttle_of(workers)
    assert tries(throttle, "ann", "", 20) == ACCOUNT.free + 1


def test_guesses_on_two_workers_at_once_count_together(joined: Workers) -> None:
    """A wait that one of them imposed holds on the other, and so does being known."""
    both = [throttle_of(joined), throttle_of(joined)]
    asked = [gevent.spawn(tries, both[number % 2], "ann", f"10.0.0.{number}", 1) for number in range(40)]
    gevent.joinall(asked, timeout=30, raise_error=True)
    assert sum(one.value for one in asked) == ACCOUNT.free + 1
    both[0].succeed("ann", "10.0.0.1")
    joined.pass_s(2)
    assert tries(both[0], "ann", "10.9.9.9", 20) > 0
    assert tries(both[1], "ann", "10.0.0.1", 1) == 1
