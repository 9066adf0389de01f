"""`/openapi.json` and `/asyncapi.json`: what this server promises, for programs."""

from __future__ import annotations

from collections.abc import Callable

import flask
import orjson

from blueprints.contracts import asyncapi, openapi


def build() -> flask.Blueprint:
    """The routes. Both documents are written once."""
    blueprint = flask.Blueprint("contracts", __name__)
    for name, document in (("openapi", openapi.document()), ("asyncapi", asyncapi.document())):
        blueprint.add_url_rule(f"/{name}.json", name, _teller(orjson.dumps(document)))
    return blueprint


def _teller(document: bytes) -> Callable[[], flask.Response]:
    def tell() -> flask.Response:
        return flask.Response(document, mimetype="application/json")

    return tell
