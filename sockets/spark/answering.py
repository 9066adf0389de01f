"""An answer as Spark's frames, made from its turn's log as it grows."""

from __future__ import annotations

from collections.abc import Iterator

from gevent.event import Event

from services.errors import BY_CODE, ChatError, ContentBlocked, Internal, Interrupted
from services.events import TurnEnded
from services.quota.estimate import prompt_tokens
from services.relay.log import Position
from services.turns.following import Following
from sockets.spark.frames import Frames
from sockets.spark.question import Question

LONGEST_WAIT_S = 60.0
_GOOD_REASONS = ("stop", "length", "quota", "user")


class News:
    """A watcher that sleeps until there is something to do; others may wake it, too."""

    def __init__(self) -> None:
        self._event = Event()

    def wake(self, urgent: bool = True) -> None:
        self._event.set()

    def wait(self) -> None:
        """Until woken, or a good while."""
        self._event.wait(LONGEST_WAIT_S)
        self._event.clear()


def frames_of(following: Following, question: Question, news: News) -> Iterator[bytes | None]:
    """The frames in order, the last of a good answer included; None each time there is nothing to send yet.

    Nothing yields to the hub in here: who is given None waits for `news`, and misses nothing.

    Raises:
        ChatError: The answer failed; what came until then has been given out.
    """
    log, frames = following.log, Frames(following.log.turn_id)
    epoch, cursor, given = following.start.epoch, following.start.offset, 0
    if following.text is not None:
        if following.reasoning:
            yield frames.reasoning(following.reasoning)
        if following.text:
            yield frames.text(following.text)
        given = len(following.text)
    log.watch(news)
    try:
        while True:
            if epoch != log.epoch:
                cursor, rewind = log.locate(Position(epoch, cursor))
                epoch = log.epoch
                if rewind is not None and rewind.length < given:
                    raise Interrupted("The answer had to begin again; ask once more.")
            spans = log.read(cursor)
            for span in spans:
                cursor = span.last
                if span.kind == "text":
                    given += len(span.text)
                    yield frames.text(span.text)
                elif span.kind == "reasoning":
                    yield frames.reasoning(span.text)
                elif isinstance(span.event, TurnEnded):
                    check(span.event)
                    yield frames.last(span.event.usage, prompt_tokens((question.last,)))
                    return
                if epoch != log.epoch:
                    break
            if not spans:
                yield None
    finally:
        log.unwatch(news)


def check(ended: TurnEnded) -> None:
    """Raise the error an answer ended with, if it did."""
    if ended.reason in _GOOD_REASONS:
        return
    if ended.reason == "content_filter":
        raise ContentBlocked("the answer did not pass the review")
    told = ended.error or {}
    kind: type[ChatError] = BY_CODE.get(str(told.get("code")), Internal)
    raise kind(str(told.get("message") or "The server failed while answering."))
