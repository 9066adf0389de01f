"""`/v1/turns`: a turn's log, read once or followed as server-sent events, and the way to stop it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import flask
import orjson
from flask import request

from blueprints.identity import Callers
from blueprints.reading import body, query_integer, whole_number
from blueprints.replies import reply
from blueprints.streaming import Streams, steps_so_far
from services.assembly import Services
from services.errors import InvalidRequest
from services.relay.log import Position
from services.turns.following import Following

LAST_EVENT_ID = "Last-Event-ID"
MAX_EPOCH, MAX_OFFSET = 2**31, 2**53
RETRY_MS = 1000
"""How soon a browser's `EventSource` comes back after its connection broke."""


def build(services: Services, callers: Callers, streams: Streams) -> flask.Blueprint:
    """The routes."""
    blueprint = flask.Blueprint("turns", __name__)
    turns = services.turns

    @blueprint.get("/v1/turns/<turn_id>")
    def read(turn_id: str) -> flask.Response:
        identity = callers.caller()
        streamed = request.accept_mimetypes.best_match(["application/json", "text/event-stream"]) == "text/event-stream"
        resumed = _last_event(turn_id) if streamed else None
        position = resumed or Position(
            query_integer("epoch", low=1, high=MAX_EPOCH, default=1),
            query_integer("after", low=0, high=MAX_OFFSET, default=0),
        )
        following = turns.attach(identity, turn_id, position)
        if not streamed:
            return reply(_as_json(following))
        if resumed is not None and _has_all(following):
            return flask.Response(status=204)  # the only answer after which an `EventSource` does not come back
        return event_stream(_events(following, streams))

    @blueprint.post("/v1/turns/<turn_id>/stop")
    def stop(turn_id: str) -> flask.Response:
        identity = callers.caller()
        body()
        ended = turns.stop(identity, turn_id=turn_id)
        return reply({"status": ended.status, "offset": ended.offset, "length": ended.length})

    return blueprint


def event_stream(chunks: Iterator[bytes]) -> flask.Response:
    """Server-sent events that no proxy keeps back."""
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return flask.Response(chunks, headers=headers, content_type="text/event-stream; charset=utf-8")


def _last_event(turn_id: str) -> Position | None:
    """Where a client that comes back has been: `turn:epoch:offset`."""
    if not (written := request.headers.get(LAST_EVENT_ID, "")):
        return None
    turn, _, place = written.partition(":")
    epoch, colon, offset = place.partition(":")
    if not colon or turn != turn_id:
        raise InvalidRequest("Last-Event-ID must be the id of an event of this turn.", field=LAST_EVENT_ID)
    return Position(
        whole_number(epoch, name=LAST_EVENT_ID, low=1, high=MAX_EPOCH),
        whole_number(offset, name=LAST_EVENT_ID, low=0, high=MAX_OFFSET),
    )


def _has_all(following: Following) -> bool:
    log = following.log
    return log.ended is not None and following.start == Position(log.epoch, log.offset)


def _as_json(following: Following) -> dict[str, Any]:
    log = following.log
    entries = [
        {"event": name, **payload} for name, payload in (step.to_wire(log.turn_id) for step in steps_so_far(following))
    ]
    return {
        "turn": log.turn_id,
        "status": following.status,
        "epoch": log.epoch,
        "offset": log.offset,
        "from": following.kept,
        **following.text_to_wire(),
        "entries": entries,
    }


def _events(following: Following, streams: Streams) -> Iterator[bytes]:
    turn_id = following.log.turn_id
    yield b"retry: %d\n\n" % RETRY_MS
    if following.text is not None:
        start = following.start
        payload = {"turn": turn_id, "epoch": start.epoch, "offset": start.offset, **following.text_to_wire()}
        del payload["from"]
        yield _event("turn_text", turn_id, start.epoch, start.offset, payload)
    for step in streams.follow(following):
        if step is None:
            yield b": still here\n\n"
        else:
            name, payload = step.to_wire(turn_id)
            yield _event(name, turn_id, step.epoch, step.last, payload)


def _event(name: str, turn_id: str, epoch: int, offset: int, payload: dict[str, Any]) -> bytes:
    return b"id: %b:%d:%d\nevent: %b\ndata: %b\n\n" % (
        turn_id.encode(),
        epoch,
        offset,
        name.encode(),
        orjson.dumps(payload),
    )
