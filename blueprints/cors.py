"""Lets pages of other origins call the HTTP interface, as `ALLOWED_ORIGINS` says."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import flask
from flask import request


class OriginRule(Protocol):
    """Which web pages may talk to this server."""

    def allows(self, origin: str | None, host_header: str | None) -> bool:
        """With a token of their own."""

    def trusts(self, origin: str | None, host_header: str | None) -> bool:
        """With a visitor's cookies."""


def sharing(origins: OriginRule) -> Callable[[flask.Response], flask.Response]:
    """What runs after every route: the CORS headers of an allowed origin, none for others."""

    def share(response: flask.Response) -> flask.Response:
        response.vary.add("Origin")
        origin = request.headers.get("Origin")
        host = request.headers.get("Host")
        if origin is None or not origins.allows(origin, host):
            return response
        headers = response.headers
        headers["Access-Control-Allow-Origin"] = origin
        headers["Access-Control-Expose-Headers"] = "Retry-After, Content-Disposition"
        if origins.trusts(origin, host):
            headers["Access-Control-Allow-Credentials"] = "true"
        if request.method == "OPTIONS":
            headers["Access-Control-Allow-Methods"] = "GET, POST, PUT, PATCH, DELETE, OPTIONS"
            headers["Access-Control-Allow-Headers"] = "Authorization, Content-Type, Idempotency-Key, Last-Event-ID"
            headers["Access-Control-Max-Age"] = "600"
        return response

    return share
