"""A turn's answer for one reader over HTTP: held back until its first piece, given up when its reader has left."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from itertools import chain

import gevent
from flask import request

from blueprints.streaming import Streams
from services.assembly import Services
from services.errors import BY_CODE, ChatError, Internal, Interrupted
from services.events import ReasoningDelta, TextDelta, TurnEnded
from services.identity import Identity
from services.relay.log import Rewind
from services.turns.following import Following

logger = logging.getLogger(__name__)

LOOK_S = 1.0
"""How often a reader whose answer is still to come is looked after."""

Piece = TextDelta | ReasoningDelta | TurnEnded | None

_GOOD_REASONS = ("stop", "length", "content_filter", "quota", "user")


class Answer:
    """The pieces of one answer, in the greenlet of the request that asked for it.

    A piece is text, reasoning, None after every second of silence, or the ending, which is the last.
    """

    def __init__(self, services: Services, streams: Streams, identity: Identity, following: Following) -> None:
        """Use it inside the request: it notes how to learn that the client has left."""
        self.log = following.log
        self._services = services
        self._identity = identity
        #: Whether the client has left. Never yields.
        self.peer_left: Callable[[], bool] = request.environ.get("parley.peer_left", lambda: False)
        self._looked = services.clock.monotonic()
        self._pieces = _pieces(following, streams)

    def begun(self) -> Iterator[Piece]:
        """All pieces, once the first has come: until then a failure still has its status.

        Raises:
            ChatError: The turn failed before it said anything, or the client left.
        """
        return chain([self._next_word()], self._pieces)

    def ended(self) -> TurnEnded:
        """Wait for the ending; the text is the log's.

        Raises:
            ChatError: The turn failed, or the client left.
        """
        while not isinstance(piece := self._next_word(), TurnEnded):
            pass
        return piece

    def leave(self) -> None:
        """Stop the turn unless it has ended: the vendor is hung up on, the partial answer stored. Never yields."""
        if self.log.ended is None:
            gevent.spawn(self._stop)

    def _next_word(self) -> Piece:
        for piece in self._pieces:
            self._look(at_once=piece is None)
            if piece is None:
                continue
            if isinstance(piece, TurnEnded) and has_failed(piece):
                raise failure(piece)
            return piece
        raise Internal("A turn ended without an ending.")

    def _look(self, *, at_once: bool) -> None:
        """Raise `Interrupted` when the client has left; looks once in a while, however fast pieces come."""
        now = self._services.clock.monotonic()
        if at_once or now - self._looked >= LOOK_S:
            self._looked = now
            if self.peer_left():
                raise Interrupted("The client left.")

    def _stop(self) -> None:
        try:
            self._services.turns.stop(self._identity, turn_id=self.log.turn_id)
        except ChatError as error:
            logger.warning("a call's turn could not be stopped: %s", error.code, extra={"turn": self.log.turn_id})


def has_failed(ended: TurnEnded) -> bool:
    """Whether the ending is an error to those who know only whole answers and errors."""
    return ended.reason not in _GOOD_REASONS or (ended.reason == "content_filter" and ended.length == 0)


def failure(ended: TurnEnded) -> ChatError:
    """The error a failed turn ended with."""
    told = ended.error or {}
    kind = BY_CODE.get(str(told.get("code")), Internal)
    return kind(str(told.get("message") or "The server failed while answering."))


def _pieces(following: Following, streams: Streams) -> Iterator[Piece]:
    """The answer from its beginning.

    Raises:
        Interrupted: Text that was given out turned out to be void: a reader of pieces cannot take it back.
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
