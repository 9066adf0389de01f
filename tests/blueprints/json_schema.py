"""As much of JSON Schema as our contracts use, read strictly: a field that is not declared is a fault."""

from __future__ import annotations

import re
from typing import Any

_KINDS: dict[str, type | tuple[type, ...]] = {
    "object": dict,
    "array": list,
    "string": str,
    "number": (int, float),
    "integer": int,
    "boolean": bool,
    "null": type(None),
}
_KNOWN = {
    "$ref", "type", "properties", "required", "items", "enum", "const", "anyOf", "oneOf", "minimum", "maximum",
    "minLength", "maxLength", "minItems", "maxItems", "pattern", "description", "examples", "additionalProperties",
}  # fmt: skip


def faults(value: Any, schema: dict[str, Any], root: dict[str, Any], at: str = "$") -> list[str]:
    """Everything in which `value` is not what `schema` says; `root` is the document that `$ref`s are looked up in."""
    assert set(schema) <= _KNOWN, f"{at}: a word this checker does not know: {set(schema) - _KNOWN}"
    if "$ref" in schema:
        return faults(value, _look_up(schema["$ref"], root), root, at)
    found: list[str] = []
    for word, enough in (("anyOf", lambda fitting: fitting > 0), ("oneOf", lambda fitting: fitting == 1)):
        if word in schema:
            each = [faults(value, option, root, at) for option in schema[word]]
            if not enough(sum(not one for one in each)):
                found.append(f"{at}: fits {sum(not one for one in each)} of {word}: {each}")
    if "const" in schema and value != schema["const"]:
        found.append(f"{at}: {value!r} is not {schema['const']!r}")
    if "enum" in schema and value not in schema["enum"]:
        found.append(f"{at}: {value!r} is none of {schema['enum']}")
    if (kind := schema.get("type")) is not None:
        right = isinstance(value, _KINDS[kind]) and not (isinstance(value, bool) and kind in ("number", "integer"))
        if not right:
            return [*found, f"{at}: {value!r} is no {kind}"]
    if isinstance(value, dict):
        found += _object(value, schema, root, at)
    elif isinstance(value, list):
        for number, item in enumerate(value):
            found += faults(item, schema.get("items", {}), root, f"{at}[{number}]")
        found += _bounds(len(value), schema.get("minItems"), schema.get("maxItems"), at)
    elif isinstance(value, str):
        found += _bounds(len(value), schema.get("minLength"), schema.get("maxLength"), at)
        if not re.search(schema.get("pattern", ""), value):
            found.append(f"{at}: {value!r} has another pattern")
    elif value is not None and not isinstance(value, bool):
        found += _bounds(value, schema.get("minimum"), schema.get("maximum"), at)
    return found


def _object(value: dict[str, Any], schema: dict[str, Any], root: dict[str, Any], at: str) -> list[str]:
    found = [f"{at}.{name} is missing" for name in schema.get("required", []) if name not in value]
    declared, others = schema.get("properties"), schema.get("additionalProperties")
    for name, item in value.items():
        if declared is not None and name in declared:
            found += faults(item, declared[name], root, f"{at}.{name}")
        elif others is not None:
            found += faults(item, others, root, f"{at}.{name}")
        elif declared is not None:
            found.append(f"{at}.{name} is not declared")
    return found


def _bounds(value: float, low: float | None, high: float | None, at: str) -> list[str]:
    if (low is not None and value < low) or (high is not None and value > high):
        return [f"{at}: {value} is not from {low} to {high}"]
    return []


def _look_up(reference: str, root: dict[str, Any]) -> dict[str, Any]:
    found: Any = root
    for name in reference.removeprefix("#/").split("/"):
        found = found[name]
    assert isinstance(found, dict)
    return found
