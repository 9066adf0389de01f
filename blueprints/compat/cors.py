"""Opens a backend to pages of other sites: every one, or those that `ALLOWED_ORIGINS` lists."""

from __future__ import annotations

import flask
from flask import request

from blueprints.compat.backend import CompatBlueprint
from blueprints.identity import Callers
from services.errors import Forbidden

_METHODS = "DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT"


def open_to_pages(blueprint: CompatBlueprint, callers: Callers) -> None:
    """Answer the blueprint's preflights and let pages read its answers; a page that is not listed is refused.

    For backends that know nobody by a cookie only: no page is ever told that its visitor's cookies count.
    """
    listed = bool(blueprint.services.settings.server.allowed_origins)

    def may_ask() -> bool:
        origin = request.headers.get("Origin")
        return origin is None or not listed or callers.origins.allows(origin, request.headers.get("Host"))

    @blueprint.before_request
    def check_page() -> None:
        if not may_ask():
            raise Forbidden("This web page may not ask here; see ALLOWED_ORIGINS.")

    @blueprint.after_request
    def share(response: flask.Response) -> flask.Response:
        headers = response.headers
        if "Access-Control-Allow-Origin" in headers or not may_ask():
            return response
        headers["Access-Control-Allow-Origin"] = request.headers.get("Origin", "*")
        if "Origin" in request.headers:
            response.vary.add("Origin")
        if request.method == "OPTIONS":
            headers["Access-Control-Allow-Methods"] = _METHODS
            if wanted := request.headers.get("Access-Control-Request-Headers"):
                headers["Access-Control-Allow-Headers"] = wanted
        return response
