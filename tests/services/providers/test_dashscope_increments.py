"""What is new in each frame, whether a vendor sends what is new or all there is."""

from __future__ import annotations

from itertools import accumulate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.providers.dashscope_increments import HELD, Increments

ANSWER = ["Hel", "lo", " wor", "ld. ", "Hel", "lo", " again: ", "床前", "明月光，", "😀", " Hel"]


def shown(frames: list[str], counts: list[int] | None = None) -> str:
    increments = Increments()
    counts = counts or [0] * len(frames)
    return (
        "".join(increments.feed(frame, count) for frame, count in zip(frames, counts, strict=True)) + increments.end()
    )


@pytest.mark.parametrize(
    "pieces",
    [
        ANSWER,
        ["ha"] * 40,
        ["哈哈"] * 3,
        ["ha", " ha", " ha", " ha"],
        ["ha", "ha", "haha", "ha"],
        ["哈", "哈哈", "哈哈哈哈", "哈哈", "，好。"],
        ["哈", "哈哈", "哈哈哈哈", "哈哈哈哈哈哈"],
        ["\n", "\n\n", "Text"],
        ["I", "It", " is"],
        ["1", "10", "100", " and so on"],
        ["The", "The The", " end"],
        ["no", "no", "no", "."],
        ["", "a", "", "a", ""],
        ["Yes"],
        [],
    ],
)
def test_new_text_stays_as_it_is_though_it_repeats_itself(pieces: list[str]) -> None:
    """Every piece once, in order; whether the vendor counts tokens or not."""
    assert shown(pieces) == "".join(pieces)
    assert shown(pieces, list(range(1, len(pieces) + 1))) == "".join(pieces)


@pytest.mark.parametrize(
    "pieces",
    [
        ANSWER,
        ["He", "llo", "!"],
        ["He", "llo"],
        ["Yes", ""],
        ["ha", "ha", "ha", ", well"],
        ["哈", "", "哈", "哈，", "好", "笑"],
        ["春眠", "", "不觉晓"],
        ["-", "-", "-", "\n", "title"],
        [str(number) for number in range(200)],
    ],
)
def test_a_vendor_that_repeats_the_whole_is_heard_once(pieces: list[str]) -> None:
    """Whatever the answer's length, and with the whole once more at the end."""
    frames = list(accumulate(pieces))
    counts = list(accumulate(1 if piece else 0 for piece in pieces))
    assert shown([*frames, frames[-1]], [*counts, counts[-1]]) == "".join(pieces)
    assert shown([*frames, ""], [*counts, counts[-1]]) == "".join(pieces)


@given(st.lists(st.text(min_size=1, max_size=6), min_size=2, max_size=30))
def test_new_text_of_any_kind_stays_as_it_is(pieces: list[str]) -> None:
    """Unless all of its first frames, up to four, begin with all of the one before, which no model does."""
    frames = zip(pieces[1:4], pieces[:3], strict=False)
    if not all(later.startswith(earlier) for later, earlier in frames):
        assert shown(pieces) == "".join(pieces)


@given(st.lists(st.text("abc 床前", min_size=1, max_size=6), min_size=4, max_size=30))
def test_wholes_of_any_text_with_some_change_in_it_are_heard_once(pieces: list[str]) -> None:
    """A first letter that does not come back makes it certain."""
    pieces = ["«", *pieces]
    assert shown(list(accumulate(pieces))) == "".join(pieces)


def test_the_first_frame_never_waits_and_the_others_wait_for_a_bound_only() -> None:
    """A model that says one word for ever is shown while it does."""
    increments = Increments()
    assert increments.feed("ha") == "ha"
    assert "".join(increments.feed("ha") for _ in range(3)) == "ha" * 3
    increments = Increments()
    assert increments.feed("a") == "a"
    waiting = [increments.feed("a" * size) for size in range(2, HELD + 2)]
    assert waiting[:-1] == [""] * (HELD - 1)
    assert waiting[-1] == "a" * sum(range(2, HELD + 2))


def test_a_whole_that_does_not_go_on_from_the_last_begins_anew() -> None:
    """As when an application's next step speaks; what was shown stays, what was trimmed is not taken back."""
    frames = ["Let", "Let me", "Let me see.", "Let me see. It", "Let me see.", "Fine", "Fine!"]
    assert shown(frames) == "Let me see. ItFine!"
