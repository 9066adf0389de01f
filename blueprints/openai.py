"""`/v1/models` and `/v1/chat/completions`: turns for programs that speak OpenAI's shape."""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Callable, Iterator
from hashlib import sha256
from itertools import chain
from typing import Any

import flask
import gevent
import orjson
from flask import request

from blueprints import openai_shapes as shapes
from blueprints.identity import Callers
from blueprints.reading import json_object
from blueprints.replies import error_to_wire, reads_chinese, refusal, reply
from blueprints.streaming import Streams
from blueprints.turns import event_stream
from services.accounts.doorkeeper import Doorkeeper
from services.assembly import Services
from services.errors import (
    BY_CODE,
    ChatError,
    Internal,
    Interrupted,
    InvalidRequest,
    ModelUnknown,
    Unauthenticated,
)
from services.events import ReasoningDelta, TextDelta, TurnEnded
from services.fields import Fields
from services.identity import Identity
from services.ids import new_id
from services.relay.log import Rewind
from services.turns.following import Following
from services.turns.request import TextRequest

logger = logging.getLogger(__name__)

MAX_BODY_BYTES = 4_000_000
LONGEST_KEY = 255
MAX_ADDRESSES = 10_000
LOOK_S = 1.0
"""How often a call whose answer is still to come is looked after."""

Piece = TextDelta | ReasoningDelta | TurnEnded | None


def build(services: Services, callers: Callers, streams: Streams) -> flask.Blueprint:
    """The routes."""
    blueprint = flask.Blueprint("openai", __name__)
    keyless = KeylessGuests(services.doorkeeper)

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
        identity = check_visitor() or keyless.at(request.remote_addr or "")
        flask.g.user = identity.user_id
        asked = shapes.read_completion(Fields(json_object(MAX_BODY_BYTES), name="body"))
        model_id = asked.model or services.catalogue.default().id
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
            ),
        )
        log = following.log

        def leave() -> None:
            # Whoever gave the call a name may come back for its answer; nobody else can.
            if log.ended is None and key is None:
                gevent.spawn(_stop, services, identity, log.turn_id)

        head = shapes.Head(f"chatcmpl-{log.turn_id}", services.clock.now_ms() // 1000, model_id)
        peer_left: Callable[[], bool] = request.environ.get("parley.peer_left", lambda: False)
        pieces = _pieces(following, streams)
        try:
            if asked.stream:
                # Not answered before there is something to say: until then a failure still has its status.
                first = _next_word(pieces, peer_left)
                told = _chunks(head, chain([first], pieces), usage=asked.include_usage, chinese=reads_chinese())
                response = event_stream(told)
            else:
                response = reply(_whole(head, following, pieces, peer_left))
        except BaseException:
            leave()
            raise
        response.call_on_close(leave)
        return response

    return blueprint


class KeylessGuests:
    """Guests for programs that bring no key: one an address, so that a loop of calls is not a loop of new accounts.

    Nobody is given such a guest's token, so nobody can come back as it and read what another program asked.
    """

    def __init__(self, doorkeeper: Doorkeeper) -> None:
        self._doorkeeper = doorkeeper
        self._guests: OrderedDict[str, Identity] = OrderedDict()

    def at(self, address: str) -> Identity:
        """The guest of this address.

        Raises:
            RateLimited: Too many guests from there.
        """
        known = self._guests.get(address)
        if known is not None and self._doorkeeper.still_valid([known]):
            self._guests.move_to_end(address)
            return known
        identity, _ = self._doorkeeper.new_guest(address)
        self._guests[address] = identity
        if len(self._guests) > MAX_ADDRESSES:
            self._guests.popitem(last=False)
        return identity


def _idempotency_key() -> str | None:
    """The caller's own name for the call, as a `client_id` that no other edge can mean."""
    key = request.headers.get("Idempotency-Key", "")
    if len(key) > LONGEST_KEY:
        raise InvalidRequest(f"Idempotency-Key has at most {LONGEST_KEY} characters.", field="Idempotency-Key")
    return sha256(f"completion {key}".encode()).hexdigest() if key else None


def _stop(services: Services, identity: Identity, turn_id: str) -> None:
    try:
        services.turns.stop(identity, turn_id=turn_id)
    except ChatError as error:
        logger.warning("a call's turn could not be stopped: %s", error.code, extra={"turn": turn_id})


def _pieces(following: Following, streams: Streams) -> Iterator[Piece]:
    """The answer from its beginning; its ending is the last piece. None after every second of silence.

    Raises:
        Interrupted: Text that was given out turned out to be void: this shape cannot take it back.
    """
    given = 0
    if following.text is not None:
        if following.reasoning:
            yield ReasoningDelta(following.reasoning)
        if following.text:
            yield TextDelta(following.text)
        given = len(following.text)
    for step in streams.follow(following, silence_s=LOOK_S):
        if step is None:
            yield None
        elif isinstance(step.what, Rewind):
            if step.what.length < given:
                raise Interrupted("The answer had to begin again; ask once more.")
        elif isinstance(step.what.event, TurnEnded):
            yield step.what.event
        elif step.what.kind == "text":
            given += len(step.what.text)
            yield TextDelta(step.what.text)
        elif step.what.kind == "reasoning":
            yield ReasoningDelta(step.what.text)


def _next_word(pieces: Iterator[Piece], peer_left: Callable[[], bool]) -> Piece:
    """The next piece that says something.

    Raises:
        ChatError: The turn failed before it said anything, or the client left.
    """
    for piece in pieces:
        if piece is None:
            if peer_left():
                raise Interrupted("The client left.")
        elif isinstance(piece, TurnEnded) and shapes.has_failed(piece):
            raise _failure(piece)
        else:
            return piece
    raise Internal("A turn ended without an ending.")


def _whole(
    head: shapes.Head, following: Following, pieces: Iterator[Piece], peer_left: Callable[[], bool]
) -> dict[str, Any]:
    while not isinstance(piece := _next_word(pieces, peer_left), TurnEnded):
        pass
    return shapes.whole(head, following.log.answer(), following.log.reasoning(), piece)


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
            elif shapes.has_failed(piece):
                raise _failure(piece)
            else:
                yield _data({**shapes.chunk(head, {}, finish=shapes.finish_reason(piece)), **more})
                if usage:
                    yield _data(shapes.usage_chunk(head, piece))
                yield b"data: [DONE]\n\n"
    except ChatError as error:
        yield _data(shapes.error_envelope(error_to_wire(error, chinese=chinese), error))


def _failure(ended: TurnEnded) -> ChatError:
    """The error a failed turn ended with."""
    told = ended.error or {}
    kind = BY_CODE.get(str(told.get("code")), Internal)
    return kind(str(told.get("message") or "The server failed while answering."))


def _data(value: dict[str, Any]) -> bytes:
    return b"data: " + orjson.dumps(value) + b"\n\n"
