"""Spark's frames as spark-mobile's clients can read them: small, ASCII, without a brace inside a string. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from services.events import Usage

MOST_TEXT_BYTES = 640
"""Of one frame's text, escaped. The desktop client parses each read of 2048 bytes alone; a frame stays under 1000."""


def escaped(value: Any) -> str:
    """Compact ASCII JSON in the order given. A mobile client takes `}{` for the seam of two frames, wherever it is."""
    text = json.dumps(value, separators=(",", ":"), allow_nan=False)
    if "{" not in text[1:] and "}" not in text[:-1]:
        return text
    return "".join(_without_braces(text))


def _without_braces(text: str) -> Iterator[str]:
    """The same JSON, with the braces inside its strings escaped."""
    inside = backslash = False
    for char in text:
        if inside and char in "{}":
            yield f"\\u{ord(char):04x}"
        else:
            yield char
        if backslash:
            backslash = False
        elif char == "\\":
            backslash = True
        elif char == '"':
            inside = not inside


def cut(text: str, most: int = MOST_TEXT_BYTES) -> Iterator[str]:
    """`text` in parts whose escaped form has at most `most` bytes; no code point is cut in two."""
    start = size = 0
    for index, char in enumerate(text):
        width = len(json.dumps(char)) - 2 if char not in "{}" else 6
        if size + width > most and index > start:
            yield text[start:index]
            start, size = index, 0
        size += width
    if start < len(text):
        yield text[start:]


class Frames:
    """The frames of one answer, numbered as they are asked for."""

    def __init__(self, sid: str) -> None:
        self._sid = sid
        self._seq = 0

    @property
    def begun(self) -> bool:
        """Whether there was one already."""
        return self._seq > 0

    def piece(self, text: str) -> str:
        """A frame with some text; with none it keeps a connection alive."""
        return self._frame(0 if self._seq == 0 else 1, text, None)

    def last(self, usage: Usage, question_tokens: int) -> str:
        """The end of a good answer: no text, and what it cost."""
        spent = {
            "question_tokens": question_tokens,
            "prompt_tokens": usage.prompt_tokens,
            "completion_tokens": usage.completion_tokens,
            "total_tokens": usage.total_tokens,
        }
        return self._frame(2, "", spent)

    def _frame(self, status: int, text: str, spent: dict[str, int] | None) -> str:
        choices = {
            "status": status,
            "seq": self._seq,
            "text": [{"content": text, "role": "assistant", "index": 0}],
        }
        self._seq += 1
        payload: dict[str, Any] = {"choices": choices}
        if spent is not None:
            payload["usage"] = {"text": spent}
        header = {"code": 0, "message": "Success", "sid": self._sid, "status": status}
        return escaped({"header": header, "payload": payload})
