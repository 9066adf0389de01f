"""Checked reading of an object a client sent: every field by name, every fault naming its field."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from services.cleaning import clean
from services.errors import InvalidRequest, TooLarge


class Fields:
    """The fields of one request. An absent field and an explicit null mean the same; unknown ones are ignored.

    Every method raises `InvalidRequest` naming the field when the value has the wrong type or is out of bounds.
    """

    def __init__(self, payload: object, *, name: str = "payload") -> None:
        if not isinstance(payload, Mapping):
            raise InvalidRequest(f"{name} must be an object.", field=name)
        self._payload: Mapping[str, Any] = payload

    def has(self, name: str) -> bool:
        return self._payload.get(name) is not None

    def text(self, name: str, *, longest: int, shortest: int = 1) -> str:
        """Text of `shortest..longest` code points, cleaned of what no store or browser can hold."""
        value = self._payload.get(name)
        if value is None:
            raise InvalidRequest(f"{name} is missing.", field=name)
        if not isinstance(value, str):
            raise InvalidRequest(f"{name} must be text.", field=name)
        if len(value) > longest:
            raise InvalidRequest(f"{name} must have at most {longest} characters.", field=name)
        value = clean(value)
        if len(value.strip()) < min(shortest, 1) or len(value) < shortest:
            raise InvalidRequest(f"{name} must not be empty.", field=name)
        return value

    def optional_text(self, name: str, *, longest: int) -> str | None:
        """Like `text`; None when the field is absent."""
        return self.text(name, longest=longest) if self.has(name) else None

    def integer(self, name: str, *, low: int, high: int, default: int | None = None) -> int:
        """A whole number; booleans and fractions are refused."""
        value = self._payload.get(name)
        if value is None and default is not None:
            return default
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if not isinstance(value, int) or isinstance(value, bool):
            raise InvalidRequest(f"{name} must be a whole number.", field=name)
        if not low <= value <= high:
            raise InvalidRequest(f"{name} must be from {low} to {high}.", field=name)
        return value

    def optional_integer(self, name: str, *, low: int, high: int) -> int | None:
        return self.integer(name, low=low, high=high) if self.has(name) else None

    def optional_number(self, name: str, *, low: float, high: float) -> float | None:
        value = self._payload.get(name)
        if value is None:
            return None
        if not isinstance(value, int | float) or isinstance(value, bool) or not math.isfinite(value):
            raise InvalidRequest(f"{name} must be a number.", field=name)
        if not low <= value <= high:
            raise InvalidRequest(f"{name} must be from {low:g} to {high:g}.", field=name)
        return float(value)

    def flag(self, name: str, *, default: bool = False) -> bool:
        value = self._payload.get(name)
        if value is None:
            return default
        if not isinstance(value, bool):
            raise InvalidRequest(f"{name} must be true or false.", field=name)
        return value

    def data(self, name: str, *, longest: int) -> bytes:
        """Bytes, at least one; what came as text is refused."""
        value = self._payload.get(name)
        if not isinstance(value, bytes) or not value:
            raise InvalidRequest(f"{name} must be binary and not empty.", field=name)
        if len(value) > longest:
            raise TooLarge(f"{name} must have at most {longest} bytes.", field=name)
        return value

    def texts(self, name: str, *, most: int, longest: int) -> tuple[str, ...]:
        """A list of at most `most` texts; an absent one is empty."""
        value = self._payload.get(name)
        if value is None:
            return ()
        if not isinstance(value, list) or len(value) > most:
            raise InvalidRequest(f"{name} must be a list of at most {most}.", field=name)
        return tuple(Fields({name: item}).text(name, longest=longest) for item in value)

    def raw(self, name: str) -> Any:
        """The value as it came, for shapes a caller checks itself."""
        return self._payload.get(name)
