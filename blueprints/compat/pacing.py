"""What a client that reads a stream without care is given: small units, one a write, a moment apart."""

from __future__ import annotations

from collections.abc import Iterator

import gevent

from blueprints.answering import Piece
from blueprints.compat.wire import UNIT_BYTES, cut
from services.clock import Clock
from services.events import TextDelta, TurnEnded

PAUSE_S = 0.005
"""Between two units. Pieces that come meanwhile are joined: the log gathers them."""
SILENCE_S = 1.0
"""After it a client is told that its answer goes on; if it has left, the write tells us."""


def paced(pieces: Iterator[Piece], clock: Clock, *, most: int = UNIT_BYTES) -> Iterator[str | TurnEnded | None]:
    """Text in parts of at most `most` bytes when escaped, then the ending; None where a keep-alive is due.

    Reasoning is not passed on: no client of these backends knows it.
    """
    told = clock.monotonic()
    for piece in pieces:
        if isinstance(piece, TurnEnded):
            yield piece
        elif isinstance(piece, TextDelta):
            for part in cut(piece.text, most):
                yield part
                gevent.sleep(PAUSE_S)
            told = clock.monotonic()
        elif clock.monotonic() - told >= SILENCE_S:
            told = clock.monotonic()
            yield None
