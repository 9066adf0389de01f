"""JSON that every client can read: no NaN, no infinity, no half characters, no bottomless nesting.

Has the `dumps` and `loads` that python-socketio asks of a JSON module.
"""

from __future__ import annotations

import json
import math
from typing import Any

import orjson

MAX_DEPTH = 64


def loads(text: str | bytes) -> Any:
    """Parse strict JSON (RFC 8259).

    Raises:
        ValueError: Also for `NaN`, numbers beyond a double, lone surrogates and more than `MAX_DEPTH` levels.
    """
    value = orjson.loads(text)
    raw = text.encode("utf-8", "replace") if isinstance(text, str) else text
    if raw.count(b"[") + raw.count(b"{") > MAX_DEPTH and _deeper_than(value, MAX_DEPTH):
        raise ValueError("nested too deeply")
    return value


def dumps(value: Any, **_: Any) -> str:
    """Compact JSON; lone surrogates become U+FFFD, NaN and infinities null, whatever handlers return."""
    try:
        return orjson.dumps(value).decode()
    except TypeError:  # orjson's for surrogates, keys that are no strings, integers over 64 bits
        return json.dumps(_clean(value), ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def _clean(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {_clean(key): _clean(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_clean(item) for item in value]
    return value


def _deeper_than(value: Any, depth: int) -> bool:
    level = [value]
    for _ in range(depth):
        level = [
            inner
            for outer in level
            if isinstance(outer, dict | list)
            for inner in (outer.values() if isinstance(outer, dict) else outer)
        ]
        if not level:
            return False
    return True
