"""When a failing provider is left alone."""

from __future__ import annotations

from services.providers.breaker import Breaker
from tests.clocks import FakeClock


def test_five_failures_in_a_row_open_it_and_one_trial_a_rest_is_let_through() -> None:
    """It rests 15 s, lets one caller try, and closes at the first success."""
    clock = FakeClock()
    breaker = Breaker(clock=clock)
    for _ in range(4):
        breaker.failed()
    assert breaker.allows()
    breaker.failed()
    assert breaker.is_open
    assert not breaker.allows()

    clock.advance(15)
    assert [breaker.allows(), breaker.allows()] == [True, False]
    breaker.failed()
    clock.advance(14)
    assert not breaker.allows()
    clock.advance(1)
    assert breaker.allows()
    breaker.succeeded()
    assert [breaker.allows(), breaker.allows()] == [True, True]


def test_a_success_between_failures_starts_the_count_again() -> None:
    """Only failures in a row count."""
    breaker = Breaker(clock=FakeClock())
    for _ in range(3):
        for _ in range(4):
            breaker.failed()
        breaker.succeeded()
    assert not breaker.is_open
