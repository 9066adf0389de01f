"""Chinese sentences: one for every code, naming the field as the protocol does."""

from __future__ import annotations

import pytest

from services.errors import BY_CODE
from services.messages import in_chinese


@pytest.mark.parametrize("code", sorted(BY_CODE))
def test_every_code_has_a_sentence(code: str) -> None:
    kind = BY_CODE[code]
    plain, named = in_chinese(kind("English.")), in_chinese(kind("English.", field="window_ms"))
    assert plain.endswith("。")
    assert any("\u4e00" <= letter <= "\u9fff" for letter in plain)
    assert "window_ms" in named
    assert "English" not in plain + named
