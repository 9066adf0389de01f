"""The older backends' JSON, to the byte. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import flask

UNIT_BYTES = 900
"""Of the text in one unit of a stream, escaped: a client that keeps nothing between two reads gets it in one."""


def answer(value: Any, status: int = 200) -> flask.Response:
    """Compact, keys sorted, ASCII, one line end: what Flask's `jsonify` wrote."""
    body = json.dumps(value, separators=(",", ":"), sort_keys=True, allow_nan=False) + "\n"
    return flask.Response(body, status, mimetype="application/json")


def unit(value: Any) -> str:
    """One object of a stream: keys as given, default spacing, ASCII."""
    return json.dumps(value, allow_nan=False)


def cut(text: str, most: int = UNIT_BYTES) -> Iterator[str]:
    """`text` in parts whose escaped form has at most `most` bytes; no code point is cut in two."""
    start = size = 0
    for index, char in enumerate(text):
        width = _width(char)
        if size + width > most and index > start:
            yield text[start:index]
            start, size = index, 0
        size += width
    if start < len(text):
        yield text[start:]


def _width(char: str) -> int:
    """Bytes of one code point in ASCII JSON."""
    if " " <= char <= "~":
        return 2 if char in '"\\' else 1
    if char in "\b\t\n\f\r":
        return 2
    return 6 if char <= "\uffff" else 12
