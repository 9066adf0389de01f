"""An answer as a stream in an older backend's form: nothing before the first piece, one unit a write, always an end."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Protocol

import flask
import gevent

from blueprints.answering import Answer, Piece, failure, has_failed
from blueprints.compat.pacing import PAUSE_S, paced
from services.clock import Clock
from services.errors import ChatError
from services.events import TurnEnded


class Dialect(Protocol):
    """How one answer is written. One object an answer, so it may remember what it has written."""

    kind: str
    """The media type."""
    keep_alive: str
    """What this backend's clients survive and do not show."""
    room: int
    """Bytes of escaped text that fit into one piece, so that it has about 1 KB at most."""

    def piece(self, text: str) -> str:
        """Some text, never empty. The unit may be: then it comes with a later one."""

    def done(self, ended: TurnEnded) -> Iterable[str]:
        """The end of a good answer."""

    def failed(self, error: ChatError) -> Iterable[str]:
        """The end of an answer that broke off."""


def streamed(answer: Answer, dialect: Dialect, clock: Clock, headers: Mapping[str, str]) -> flask.Response:
    """The response; the turn is stopped when its reader leaves.

    Raises:
        ChatError: The turn failed before its first piece; nothing has been sent.
    """
    try:
        pieces = answer.begun()
    except BaseException:
        answer.leave()
        raise
    response = flask.Response(_units(pieces, dialect, clock), headers=dict(headers), content_type=dialect.kind)
    response.call_on_close(answer.leave)
    return response


def whole(answer: Answer) -> TurnEnded:
    """Wait for the answer's end; the turn is stopped when its reader leaves.

    Raises:
        ChatError: The turn failed.
    """
    try:
        return answer.ended()
    except BaseException:
        answer.leave()
        raise


def _units(pieces: Iterator[Piece], dialect: Dialect, clock: Clock) -> Iterator[bytes]:
    """Each is written for itself."""
    try:
        for part in paced(pieces, clock, most=dialect.room):
            if part is None:
                yield dialect.keep_alive.encode()
            elif isinstance(part, str):
                if unit := dialect.piece(part):
                    yield unit.encode()
            elif has_failed(part):
                raise failure(part)
            else:
                yield from _apart(dialect.done(part))
    except ChatError as error:
        yield from _apart(dialect.failed(error))


def _apart(units: Iterable[str]) -> Iterator[bytes]:
    for number, unit in enumerate(units):
        if number:
            gevent.sleep(PAUSE_S)
        yield unit.encode()
