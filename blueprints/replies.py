"""What goes back: JSON, or the one shape of a refusal."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

import flask
import orjson
from flask import request
from werkzeug.exceptions import HTTPException

from services.errors import ChatError, InvalidRequest, NotFound, TooLarge, UnsupportedMedia
from services.faults import refusal_of
from services.messages import in_chinese

_OF_STATUS: dict[int, tuple[type[ChatError], str]] = {
    404: (NotFound, "There is nothing at this address."),
    405: (InvalidRequest, "This address does not take this method."),
    408: (InvalidRequest, "The request took too long to arrive."),
    413: (TooLarge, "The request is larger than this address takes."),
    415: (UnsupportedMedia, "The body must be application/json."),
}
_LONGEST_FILE_NAME = 80
_UNFIT = str.maketrans(dict.fromkeys('/\\:*?"<>|', "-"))
"""What some system refuses in a file's name."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """An error as HTTP tells it."""

    error: ChatError
    status: int
    headers: dict[str, str] = field(default_factory=dict)


def reads_chinese() -> bool:
    """Whether the person behind the request would rather read Chinese than English."""
    wanted = (language.partition("-")[0].lower() for language, _ in request.accept_languages)
    return next((language for language in wanted if language in ("en", "zh")), "en") == "zh"


def error_to_wire(error: ChatError, *, chinese: bool) -> dict[str, Any]:
    """The `error` object, its sentence in the reader's language."""
    wire = error.to_wire()
    if chinese:
        wire["message"] = in_chinese(error)
    return wire


def refusal(error: Exception) -> Refusal:
    """What any exception of a route means to the client; a bug is logged here, once."""
    if isinstance(error, HTTPException) and error.code is not None and error.code < 500:
        kind, sentence = _OF_STATUS.get(error.code, (InvalidRequest, "The request cannot be read."))
        headers = {name: value for name, value in error.get_headers() if name == "Allow"}
        return Refusal(kind(sentence), error.code, headers)
    told = refusal_of(error, f"{request.method} {request.url_rule or 'an unknown address'}")
    headers = {}
    if told.retry_after_s is not None:
        headers["Retry-After"] = str(math.ceil(told.retry_after_s))
    if told.http_status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    return Refusal(told, told.http_status, headers)


def reply(value: Any, status: int = 200, headers: dict[str, str] | None = None) -> flask.Response:
    """JSON in UTF-8. Never `NaN`: it becomes null."""
    return flask.Response(orjson.dumps(value), status, headers, mimetype="application/json")


def attachment(chunks: Iterable[str], title: str, suffix: str, kind: str) -> flask.Response:
    """A file, written while it is read, that a browser saves under `title`."""
    name = title.translate(_UNFIT)[:_LONGEST_FILE_NAME].strip(" .") or "conversation"
    plain = f'filename="conversation.{suffix}"'
    whole = f"filename*=UTF-8''{quote(f'{name}.{suffix}', safe='')}"
    headers = {"Content-Disposition": f"attachment; {plain}; {whole}"}
    return flask.Response(chunks, headers=headers, content_type=f"{kind}; charset=utf-8")
