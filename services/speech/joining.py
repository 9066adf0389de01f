"""Where a blank belongs between two stretches of a transcript: pure."""

from __future__ import annotations

import unicodedata


def joined(before: str, text: str) -> str:
    """`text` as it is appended to `before`: with a blank in front where both sides are of a script that has blanks."""
    text = text.strip()
    if not before or not text or before[-1].isspace() or not _is_spaced(before[-1]) or not _begins_word(text[0]):
        return text
    return " " + text


def _is_spaced(letter: str) -> bool:
    return unicodedata.east_asian_width(letter) not in "WF"


def _begins_word(letter: str) -> bool:
    return _is_spaced(letter) and unicodedata.category(letter)[0] not in "PM"
