"""`/v1/images/generations`: pictures drawn for programs that speak OpenAI's shape."""

from __future__ import annotations

import base64
import logging
from collections.abc import Callable
from typing import Any

import flask
import gevent
from flask import request

from blueprints.identity import Callers
from blueprints.openai_shapes import error_envelope
from blueprints.reading import MAX_BODY_BYTES, json_object
from blueprints.replies import error_to_wire, reads_chinese, refusal, reply
from blueprints.streaming import Streams
from services.assembly import Services
from services.errors import BY_CODE, ChatError, Internal, Interrupted, InvalidRequest
from services.events import TurnEnded
from services.fields import Fields
from services.identity import Identity
from services.ids import new_id
from services.turns.following import Following
from services.turns.picture_request import MAX_COUNT, MAX_PROMPT, DrawingRequest, size_of

logger = logging.getLogger(__name__)

LOOK_S = 1.0
_FORMATS = ("url", "b64_json")


def build(services: Services, callers: Callers, streams: Streams) -> flask.Blueprint:
    """The route."""
    blueprint = flask.Blueprint("images", __name__)

    @blueprint.errorhandler(Exception)
    def refuse(error: Exception) -> flask.Response:
        refused = refusal(error)
        services.metrics.errors.labels(refused.error.code).inc()
        wire = error_to_wire(refused.error, chinese=reads_chinese())
        # The stock clients ask again after every 5xx unless they are told.
        headers = {**refused.headers, "x-should-retry": "true" if refused.error.retryable else "false"}
        return reply(error_envelope(wire, refused.error), refused.status, headers)

    @blueprint.post("/v1/images/generations")
    def generate() -> flask.Response:
        identity = callers.caller()
        drawing, form = _read(Fields(json_object(MAX_BODY_BYTES), name="body"))
        following = services.pictures.drawing.start(identity, drawing)
        peer_left: Callable[[], bool] = request.environ.get("parley.peer_left", lambda: False)
        try:
            ended = _ending(following, streams, peer_left)
        except BaseException:
            gevent.spawn(_stop, services, identity, following.log.turn_id)
            raise
        pictures = [_told(services, identity, picture, form) for picture in (ended.result or {})["pictures"]]
        return reply({"created": services.clock.now_ms() // 1000, "data": pictures})

    return blueprint


def _read(fields: Fields) -> tuple[DrawingRequest, str]:
    """The request, and the form in which pictures are told.

    Raises:
        InvalidRequest: Names the field that is wrong, or that is not served here.
    """
    if fields.flag("stream"):
        raise InvalidRequest("stream is not served here.", field="stream")
    form = fields.optional_text("response_format", longest=16) or "url"
    if form not in _FORMATS:
        raise InvalidRequest(f"response_format must be one of {', '.join(_FORMATS)}.", field="response_format")
    size = fields.optional_text("size", longest=16)
    drawing = DrawingRequest(
        client_id=new_id("r"),
        prompt=fields.text("prompt", longest=MAX_PROMPT),
        size=size_of(None if size == "auto" else size),
        count=fields.integer("n", low=1, high=MAX_COUNT, default=1),
        model=fields.optional_text("model", longest=128),
    )
    return drawing, form


def _ending(following: Following, streams: Streams, peer_left: Callable[[], bool]) -> TurnEnded:
    """Wait for the drawings.

    Raises:
        ChatError: The turn failed or was stopped, or the client left.
    """
    for step in streams.follow(following, silence_s=LOOK_S):
        if step is None and peer_left():
            raise Interrupted("The client left.")
    ended = following.log.ended
    if ended is None:
        raise Internal("A turn ended without an ending.")
    if ended.status != "done":
        told = ended.error or {}
        kind = BY_CODE.get(str(told.get("code")), Interrupted)
        raise kind(str(told.get("message") or "The drawing was stopped."))
    return ended


def _told(services: Services, identity: Identity, picture: dict[str, Any], form: str) -> dict[str, str]:
    if form == "url":
        return {"url": request.host_url.rstrip("/") + picture["url"]}
    store = services.pictures.store
    data = store.read(store.get(identity.user_id, picture["id"]))
    return {"b64_json": base64.b64encode(data).decode()}


def _stop(services: Services, identity: Identity, turn_id: str) -> None:
    try:
        services.turns.stop(identity, turn_id=turn_id)
    except ChatError as error:
        logger.warning("a call's turn could not be stopped: %s", error.code, extra={"turn": turn_id})
