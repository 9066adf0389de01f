"""A line in the log and a count for every request: who, what, how it went, how long it took."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

import flask
from flask import request

from services.telemetry.metrics import Metrics

logger = logging.getLogger(__name__)

_FREQUENT = ("/static/", "/healthz", "/readyz", "/metrics")
_LONGEST_PATH = 200


def begin() -> None:
    """Runs before every request."""
    flask.g.began = time.monotonic()


def noting(metrics: Metrics) -> Callable[[flask.Response], flask.Response]:
    """Runs after every request. The line is written when the last byte has gone, so that a stream's length shows.

    The query is left out: searches are a user's words.
    """

    def note(response: flask.Response) -> flask.Response:
        path, method, status = request.path[:_LONGEST_PATH], request.method, response.status_code
        level = logging.DEBUG if path.startswith(_FREQUENT) and status < 500 else logging.INFO
        began: float = flask.g.get("began", time.monotonic())
        user: str | None = flask.g.get("user")
        metrics.requests.labels(str(status)).inc()

        def written() -> None:
            extra = {
                "method": method,
                "path": path,
                "status": status,
                "duration_ms": round((time.monotonic() - began) * 1000, 1),
                **({"user": user} if user else {}),
            }
            logger.log(level, "request", extra=extra)

        response.call_on_close(written)
        return response

    return note
