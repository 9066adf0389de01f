"""The waits between attempts."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from services.wire.retry import Backoff


def test_waits_double_up_to_the_cap() -> None:
    """Without jitter the waits are the plain series."""
    backoff = Backoff(base_s=0.5, cap_s=3, random=lambda: 0.0)
    assert [backoff.wait_s(failures) for failures in range(1, 6)] == [0.5, 1, 2, 3, 3]


@given(st.integers(1, 10_000), st.floats(0, 1, exclude_max=True))
def test_jitter_never_leaves_its_bounds(failures: int, chance: float) -> None:
    """Half to all of the plain wait, never beyond the cap, however often it failed."""
    wait_s = Backoff(random=lambda: chance).wait_s(failures)
    plain = Backoff(jitter=0.0).wait_s(failures)
    assert wait_s is not None
    assert plain is not None
    assert plain / 2 <= wait_s <= plain <= 4.0


def test_a_vendors_wish_is_not_undercut_and_not_kept_when_too_long() -> None:
    """`Retry-After` is a floor, and a reason to give up beyond our patience."""
    assert Backoff(random=lambda: 1.0).wait_s(1, asked_s=5) == 5.2
    assert Backoff().wait_s(1, asked_s=9) is None
