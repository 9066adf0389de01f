"""doubao-web's reply: the bare text of an answer, to its end, whoever is still reading."""

from __future__ import annotations

from collections.abc import Iterator

import flask

from blueprints.answering import Answer, Piece, failure, has_failed
from blueprints.replies import reads_chinese
from services.errors import ChatError
from services.events import TextDelta, TurnEnded


def told(answer: Answer) -> flask.Response:
    """The reply. A reader who leaves stops nothing: the answer goes on and is stored.

    Raises:
        ChatError: The turn failed before its first piece; nothing has been sent.
    """
    note = "\n\n[回答中断，请重试。]" if reads_chinese() else "\n\n[The answer broke off; please ask again.]"
    units = _units(_from_text_on(answer.begun()), note)
    response = flask.Response(units, content_type="text/plain; charset=utf-8")
    response.headers["X-Accel-Buffering"] = "no"
    return response


def _from_text_on(pieces: Iterator[Piece]) -> Iterator[Piece]:
    """The pieces from the first that is shown: reasoning is not, and until then a failure can have its status.

    Raises:
        ChatError: The turn failed before any text.
    """
    for piece in pieces:
        if isinstance(piece, TurnEnded) and has_failed(piece):
            raise failure(piece)
        if isinstance(piece, TextDelta | TurnEnded):
            return _again(piece, pieces)
    return iter(())


def _again(first: Piece, rest: Iterator[Piece]) -> Iterator[Piece]:
    yield first
    yield from rest


def _units(pieces: Iterator[Piece], note: str) -> Iterator[bytes]:
    try:
        for piece in pieces:
            if isinstance(piece, TextDelta):
                yield piece.text.encode()
            elif isinstance(piece, TurnEnded) and has_failed(piece):
                raise failure(piece)
    except ChatError:
        yield note.encode()
