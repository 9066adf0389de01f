"""Counting without a tokenizer errs on the side of too many, and pieces count like the whole."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.quota.estimate import Counter, completion_tokens, prompt_tokens


@dataclass
class Said:
    text: str


# As Qwen's own tokenizer (qwen.tiktoken of dashscope 2.0.2) counts them.
KNOWN = [
    ("Hello, world! This is a test of the tokenizer.", 12),
    ("The quick brown fox jumps over the lazy dog. " * 5, 51),
    ("春眠不觉晓，处处闻啼鸟。夜来风雨声，花落知多少。", 21),
    ("人工智能正在改变我们的生活方式。", 6),
    ("こんにちは、元気ですか。今日はいい天気ですね。", 12),
    ("안녕하세요 반갑습니다 오늘 날씨가 좋네요", 13),
    ("Привет, как дела? Сегодня хорошая погода.", 14),
    ("1234567890", 10),
    ("for i in range(10):\n    print(i * i)\n", 14),
    ('{"a": [1, 2, 3]}', 12),
    ("| a | b |\n|---|---|\n| 1 | 2 |\n", 17),
    ("\\frac{a}{b} + \\sqrt{x^2 + y^2} = \\int_0^1 f(x) dx", 29),
    ("😀🎉👍🏽", 4),
    ("", 0),
]


@pytest.mark.parametrize(("text", "tokens"), KNOWN)
def test_never_below_a_tokenizer_and_never_far_above(text: str, tokens: int) -> None:
    assert tokens <= completion_tokens(text) <= 3 * tokens


@given(st.lists(st.text(max_size=20), max_size=20))
def test_pieces_count_like_the_whole(pieces: list[str]) -> None:
    counter = Counter()
    for piece in pieces:
        counter.add(piece)

    assert counter.tokens == completion_tokens("".join(pieces))


@given(st.text(max_size=200))
def test_a_count_is_between_a_third_and_five_thirds_a_character(text: str) -> None:
    assert len(text) / 3 <= completion_tokens(text) <= len(text) * 5 / 3 + 1


def test_each_message_of_a_prompt_costs_its_frame() -> None:
    assert prompt_tokens([]) == 3
    assert prompt_tokens([Said("abc"), Said("")]) == 3 + 2 * 8 + 1
