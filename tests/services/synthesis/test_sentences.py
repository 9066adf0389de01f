"""Sentences are found as they are written, however the text is cut into pieces."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.synthesis.sentences import MOST_CHARS, MOST_HAN, Sentence, SentenceCutter


def cut(text: str, size: int = 1) -> list[Sentence]:
    cutter = SentenceCutter()
    found = [s for at in range(0, len(text), size) for s in cutter.feed(text[at : at + size])]
    return found + cutter.finish()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("One. Two! Three?", ["One.", "Two!", "Three?"]),
        ("今天很好。你呢？“好！”他说。", ["今天很好。", "你呢？", "“好！”", "他说。"]),
        ("Pi is 3.14 and more. See example.com now.", ["Pi is 3.14 and more.", "See example.com now."]),
        ("Dr. Smith met J. Doe, i.e. me. Yes.", ["Dr. Smith met J. Doe, i.e. me.", "Yes."]),
        ("# Title\n\n- **bold** point\n- a [link](https://a.b/c) here", ["Title", "bold point", "a link here"]),
        ("Look:\n```python\nprint('not. read!')\n```\nDone. ok", ["Look:", "Done.", "ok"]),
        ("~~~\nnever closed. really", []),
        ("...\n---\n***\n", []),
        ("| a | b |\n|---|---|\n| c | d |\n", ["a b", "c d"]),
        ("价格是3.5元。Use `x` now.", ["价格是3.5元。", "Use x now."]),
    ],
)
def test_what_is_read_aloud(text: str, said: list[str]) -> None:
    for size in (1, 2, 3, 7, len(text)):
        assert [sentence.text for sentence in cut(text, size)] == said


def test_a_sentence_is_given_before_the_next_one_is_written() -> None:
    cutter = SentenceCutter()
    assert cutter.feed("It is so.") == []
    assert cutter.feed(" A") == [Sentence(0, 9, "It is so.")]


def test_one_without_an_end_is_bounded() -> None:
    assert next(s.text for s in cut("word, " * 60)).endswith(",")
    assert all(len(s.text) <= MOST_CHARS for s in cut("x" * 1000))
    assert all(len(s.text) <= MOST_HAN for s in cut("好" * 1000))


@given(st.text(alphabet="ab。.,! \n`~*3好，#|[](", max_size=300), st.integers(1, 20))
def test_pieces_change_nothing_and_places_are_true(text: str, size: int) -> None:
    found = cut(text, size)
    assert found == cut(text, max(len(text), 1))
    assert all(a.end <= b.start for a, b in pairwise(found))
    assert all(0 <= s.start < s.end <= len(text) for s in found)
