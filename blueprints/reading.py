"""What a request brings: a JSON object, or the words after the question mark."""

from __future__ import annotations

import logging
from typing import Any

import orjson
from flask import request

from services.errors import InvalidRequest, UnsupportedMedia
from services.fields import Fields

logger = logging.getLogger(__name__)

MAX_BODY_BYTES = 256_000
"""Of every route that does not say otherwise."""
_MOST_NAMES = 8


def body(*known: str) -> Fields:
    """The JSON object of the request; without a body an empty one.

    Args:
        known: Names the route understands; others are ignored, and noted in the log.

    Raises:
        InvalidRequest: Not JSON, not an object, `NaN`, a number without end.
        UnsupportedMedia: Not sent as JSON.
    """
    value = json_object(MAX_BODY_BYTES)
    if strange := [name[:32] for name in value if name not in known][:_MOST_NAMES]:
        logger.info("fields ignored: %r", strange, extra={"path": request.path})
    return Fields(value, name="body")


def json_object(at_most: int) -> dict[str, Any]:
    """The body as it came, of `at_most` bytes. Raises as `body` does."""
    request.max_content_length = at_most
    raw = request.get_data(cache=False)
    if not raw:
        return {}
    if request.mimetype != "application/json":
        raise UnsupportedMedia("The body must be application/json.", field="body")
    try:
        value = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise InvalidRequest("The body is not valid JSON.", field="body") from error
    if not isinstance(value, dict):
        raise InvalidRequest("The body must be an object.", field="body")
    return value


def query() -> Fields:
    """The words after the question mark, as text; of a name given twice the first counts."""
    return Fields(request.args.to_dict(), name="query")


def query_integer(name: str, *, low: int, high: int, default: int) -> int:
    """One whole number after the question mark.

    Raises:
        InvalidRequest: Names it.
    """
    written = request.args.get(name, "")
    if not written:
        return default
    return whole_number(written, name=name, low=low, high=high)


def whole_number(written: str, *, name: str, low: int, high: int) -> int:
    """A number that came as text: digits and nothing else.

    Raises:
        InvalidRequest: Names `name`.
    """
    if not (written.isascii() and written.isdigit() and len(written) <= 16):
        raise InvalidRequest(f"{name} must be a whole number.", field=name)
    return Fields({name: int(written)}).integer(name, low=low, high=high)
