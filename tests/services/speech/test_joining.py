"""Stretches of a transcript are joined as their script is written."""

from __future__ import annotations

import pytest

from services.speech.joining import joined


@pytest.mark.parametrize(
    ("before", "text", "appended"),
    [
        ("", " hello ", "hello"),
        ("hello", "world", " world"),
        ("hello.", "World", " World"),
        ("hello", ", world", ", world"),
        ("hello ", "world", "world"),
        ("你好", "世界", "世界"),
        ("你好。", "world", "world"),
        ("hello", "世界", "世界"),
        ("hello", "  ", ""),
    ],
)
def test_a_blank_stands_where_both_sides_have_blanks(before: str, text: str, appended: str) -> None:
    assert joined(before, text) == appended
