"""Whatever comes in can be stored and sent afterwards, and what was fine is not touched."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.cleaning import clean, one_line


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("a\0b", "ab"),
        ("a\ud800b", "a\ufffdb"),
        ("\ud83d\ude00", "😀"),
        ("\ude00\ud83d", "\ufffd\ufffd"),
        ("\ud83d\0\ude00", "😀"),
        ("你好 😀\r\n\t", "你好 😀\r\n\t"),
    ],
)
def test_nuls_go_and_lone_halves_are_replaced(text: str, cleaned: str) -> None:
    assert clean(text) == cleaned


@given(st.text(alphabet=st.characters(exclude_categories=[]), max_size=50))
def test_the_result_can_be_encoded_and_is_clean_already(text: str) -> None:
    cleaned = clean(text)
    cleaned.encode()
    assert "\0" not in cleaned
    assert clean(cleaned) == cleaned


@given(st.text(max_size=50))
def test_good_text_is_left_as_it_is(text: str) -> None:
    assert clean(text) == text.replace("\0", "")


def test_one_line_is_one_bounded_line() -> None:
    assert one_line("  a\r\n b\t\u2028c\u00a0d ", 100) == "a b c d"
    assert one_line("x y z", 4) == "x y"
    assert one_line("👩\u200d💻 你好\u202e", 100) == "👩\u200d💻 你好"
