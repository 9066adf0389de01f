"""`/v1/pictures`: pictures are sent, listed, fetched and deleted by their owner."""

from __future__ import annotations

import flask
from flask import request

from blueprints.identity import Callers
from blueprints.reading import body
from blueprints.replies import reply
from services.assembly import Services
from services.errors import InvalidRequest, UnsupportedMedia
from services.pictures.header import MAX_BYTES

PICTURE_POLICY = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; sandbox"
_SUFFIXES = {"image/png": "png", "image/jpeg": "jpg"}


def build(services: Services, callers: Callers) -> flask.Blueprint:
    """The routes."""
    blueprint = flask.Blueprint("pictures", __name__, url_prefix="/v1/pictures")
    store = services.pictures.store

    @blueprint.get("")
    def listing() -> flask.Response:
        return reply({"pictures": [record.to_wire() for record in store.list(callers.caller().user_id)]})

    @blueprint.post("")
    def send() -> flask.Response:
        identity = callers.caller()
        request.max_content_length = MAX_BYTES
        if not request.mimetype.startswith("image/") and request.mimetype != "application/octet-stream":
            raise UnsupportedMedia("The body must be a picture, sent as image/jpeg or what it is.", field="body")
        data = request.get_data(cache=False)
        if not data:
            raise InvalidRequest("The body must be a picture.", field="body")
        return reply(store.add(identity.user_id, data, field="body").to_wire(), 201)

    @blueprint.get("/<picture_id>")
    def fetch(picture_id: str) -> flask.Response:
        record = store.get(callers.caller().user_id, picture_id)
        # Its bytes are ours and never change, but whoever asks again must still be its owner.
        headers = {
            "Cache-Control": "private, no-cache",
            "Content-Security-Policy": PICTURE_POLICY,
            "Content-Disposition": f'attachment; filename="{record.id}.{_SUFFIXES[record.media_type]}"',
            "ETag": f'"{record.id}"',
        }
        if request.if_none_match.contains(record.id):
            return flask.Response(status=304, headers=headers)
        return flask.Response(store.read(record), headers=headers, content_type=record.media_type)

    @blueprint.delete("/<picture_id>")
    def delete(picture_id: str) -> flask.Response:
        identity = callers.caller()
        body()
        store.remove(identity.user_id, picture_id)
        return reply({})

    return blueprint
