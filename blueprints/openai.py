"""`/v1/models` and `/v1/chat/completions`: turns for programs that speak OpenAI's shape."""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import sha256
from typing import Any

import flask
import orjson
from flask import request

from blueprints import openai_shapes as shapes
from blueprints.answering import Answer, Piece, failure, has_failed
from blueprints.identity import Callers
from blueprints.openai_pictures import taken_in
from blueprints.reading import json_object
from blueprints.replies import error_to_wire, reads_chinese, refusal, reply
from blueprints.streaming import Streams
from blueprints.turns import event_stream
from services.assembly import Services
from services.errors import ChatError, InvalidRequest, ModelUnknown, Unauthenticated
from services.events import ReasoningDelta, TextDelta
from services.fields import Fields
from services.identity import Identity
from services.ids import new_id
from services.turns.request import TextRequest

MAX_BODY_BYTES = 14_000_000
"""A picture of 10 MB in base64, and what is said about it."""
LONGEST_KEY = 255


def build(services: Services, callers: Callers, streams: Streams) -> flask.Blueprint:
    """The routes."""
    blueprint = flask.Blueprint("openai", __name__)

    @blueprint.errorhandler(Exception)
    def refuse(error: Exception) -> flask.Response:
        refused = refusal(error)
        services.metrics.errors.labels(refused.error.code).inc()
        wire = error_to_wire(refused.error, chinese=reads_chinese())
        # The stock clients ask again after every 5xx unless they are told.
        headers = {**refused.headers, "x-should-retry": "true" if refused.error.retryable else "false"}
        return reply(shapes.error_envelope(wire, refused.error), refused.status, headers)

    def check_visitor() -> Identity | None:
        """The caller; None for one without any credential, where guests are allowed."""
        known = callers.known()
        if known is None and ("Authorization" in request.headers or not services.doorkeeper.guests_allowed):
            raise Unauthenticated("Send a token of this server as the API key.")
        return known

    @blueprint.get("/v1/models")
    def models() -> flask.Response:
        check_visitor()
        return reply({"object": "list", "data": [shapes.model_entry(card) for card in services.catalogue.cards()]})

    @blueprint.get("/v1/models/<path:model_id>")
    def model(model_id: str) -> flask.Response:
        check_visitor()
        for card in services.catalogue.cards():
            if card.id == model_id:
                return reply(shapes.model_entry(card))
        raise ModelUnknown("No model of that name is served here.", field="model")

    @blueprint.post("/v1/chat/completions")
    def complete() -> flask.Response:
        identity = check_visitor() or callers.guest_of_address()
        flask.g.user = identity.user_id
        asked = shapes.read_completion(Fields(json_object(MAX_BODY_BYTES), name="body"))
        model_id = asked.model or services.catalogue.default().id
        asked = taken_in(asked, services.pictures.store, identity, services.catalogue.find(model_id).card)
        key = _idempotency_key()
        following = services.text_turns.start(
            identity,
            TextRequest(
                client_id=key or new_id("r"),
                text=asked.question,
                model=model_id,
                system=asked.system,
                temperature=asked.temperature,
                top_p=asked.top_p,
                max_tokens=asked.max_tokens,
                history=asked.history,
                pictures=asked.pictures,
            ),
        )
        log = following.log
        answer = Answer(services, streams, identity, following)

        def leave() -> None:
            # Whoever gave the call a name may come back for its answer; nobody else can.
            if key is None:
                answer.leave()

        head = shapes.Head(f"chatcmpl-{log.turn_id}", services.clock.now_ms() // 1000, model_id)
        try:
            if asked.stream:
                told = _chunks(head, answer.begun(), usage=asked.include_usage, chinese=reads_chinese())
                response = event_stream(told)
            else:
                ended = answer.ended()
                response = reply(shapes.whole(head, log.answer(), log.reasoning(), ended))
        except BaseException:
            leave()
            raise
        response.call_on_close(leave)
        return response

    return blueprint


def _idempotency_key() -> str | None:
    """The caller's own name for the call, as a `client_id` that no other edge can mean."""
    key = request.headers.get("Idempotency-Key", "")
    if len(key) > LONGEST_KEY:
        raise InvalidRequest(f"Idempotency-Key has at most {LONGEST_KEY} characters.", field="Idempotency-Key")
    return sha256(f"completion {key}".encode()).hexdigest() if key else None


def _chunks(head: shapes.Head, pieces: Iterator[Piece], *, usage: bool, chinese: bool) -> Iterator[bytes]:
    more = {"usage": None} if usage else {}
    try:
        yield _data({**shapes.chunk(head, {"role": "assistant", "content": ""}), **more})
        for piece in pieces:
            if piece is None:
                yield b": still here\n\n"
            elif isinstance(piece, TextDelta):
                yield _data({**shapes.chunk(head, {"content": piece.text}), **more})
            elif isinstance(piece, ReasoningDelta):
                yield _data({**shapes.chunk(head, {"reasoning_content": piece.text}), **more})
            elif has_failed(piece):
                raise failure(piece)
            else:
                yield _data({**shapes.chunk(head, {}, finish=shapes.finish_reason(piece)), **more})
                if usage:
                    yield _data(shapes.usage_chunk(head, piece))
                yield b"data: [DONE]\n\n"
    except ChatError as error:
        yield _data(shapes.error_envelope(error_to_wire(error, chinese=chinese), error))


def _data(value: dict[str, Any]) -> bytes:
    return b"data: " + orjson.dumps(value) + b"\n\n"
