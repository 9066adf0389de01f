"""spark-mobile's envelope: `code` 0 or a name in capitals, always with `msg`, always HTTP 200."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import flask
import orjson
from flask import request

from blueprints.compat.wire import answer
from blueprints.replies import Refusal
from services.errors import ChatError, InvalidRequest, QuotaExceeded
from services.fields import Fields
from services.messages import in_chinese

Route = TypeVar("Route", bound=Callable[..., flask.Response])

MAX_JSON_BYTES = 4_000_000
_FRAMEWORK = {404: "APP_NOT_FOUND_ERROR", 405: "APP_QUERY_METHOD_ERROR"}


class Coded(InvalidRequest):
    """A refusal with a code of spark-mobile's and the Chinese sentence its clients show."""

    def __init__(self, name: str, sentence: str) -> None:
        super().__init__(sentence)
        self.name = name


def fails_as(name: str) -> Callable[[Route], Route]:
    """Whatever goes wrong in the route is told under this code, unless it has one of its own."""

    def mark(route: Route) -> Route:
        setattr(route, _MARK, name)
        return route

    return mark


_MARK = "spark_mobile_code"


def ok(msg: str, **fields: Any) -> flask.Response:
    """A good answer."""
    return answer({"code": 0, "msg": msg, **fields})


def refused(refusal: Refusal) -> flask.Response:
    """The answer to whatever went wrong."""
    return answer(told(refusal.error, status=refusal.status))


def told(error: ChatError, *, status: int = 200) -> dict[str, str]:
    """`code` and `msg` of an error, by the route it happened in."""
    if isinstance(error, Coded):
        return {"code": error.name, "msg": error.message}
    route = flask.current_app.view_functions.get(request.endpoint or "") if request.routing_exception is None else None
    name = getattr(route, _MARK, None) or _FRAMEWORK.get(status, "APP_INTERNAL_ERROR")
    if isinstance(error, QuotaExceeded) and name == "MODEL_ERROR":
        name = "TOKEN_NOT_ENOUGH"
    if isinstance(error, InvalidRequest) and error.field == "username":
        return {"code": name, "msg": "用户名应为 1 到 80 个看得见的字符。"}  # more than elsewhere on this server
    return {"code": name, "msg": in_chinese(error)}


def body() -> Fields:
    """The JSON object of the request, whatever type it says it has.

    Raises:
        InvalidRequest: It is none.
    """
    request.max_content_length = MAX_JSON_BYTES
    try:
        value = orjson.loads(request.get_data(cache=False) or b"{}")
    except orjson.JSONDecodeError as error:
        raise InvalidRequest("The body is not valid JSON.", field="body") from error
    return Fields(value, name="body")


def trimmed(fields: Fields, name: str, *, longest: int) -> str:
    """Text as the old server took it: without blanks around it.

    Raises:
        InvalidRequest: Absent, not text, empty or too long.
    """
    value = fields.raw(name)
    if not isinstance(value, str) or not value.strip() or len(value) > longest:
        raise InvalidRequest(f"{name} must be text of at most {longest} characters.", field=name)
    return value.strip()


def optional(fields: Fields, name: str, *, longest: int) -> str:
    """The same; empty when it is absent."""
    value = fields.raw(name)
    return trimmed(fields, name, longest=longest) if isinstance(value, str) and value.strip() else ""
