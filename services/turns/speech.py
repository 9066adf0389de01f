"""One answer that is read aloud while it is written: its sentences, its pace, and how far it was heard.

The sound is no entry of the log: it is made for those who listen now, is never stored, and nobody waits for it. It goes
out at the pace of speech, `AHEAD_S` before it is heard at most; a listener that cannot keep up misses the rest of a
sentence, and the server holds nothing for it.
"""

from __future__ import annotations

import logging
from bisect import bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

import gevent
from gevent.event import Event

from services.clock import Clock
from services.errors import ChatError, VendorError
from services.faults import refusal_of
from services.relay.log import Position, TurnLog
from services.synthesis.base import Mouth, Synthesiser
from services.synthesis.sentences import Sentence, SentenceCutter

logger = logging.getLogger(__name__)

AHEAD_S = 5.0
"""Sound is sent so long before it is to be heard: enough for a line that stumbles, little to throw away."""
MOST_CHARS = 8_000
"""Of one answer; half an hour of speech. The rest of it is only shown."""
PIECE_BYTES = 16_384
FAILURES = 3
"""Sentences in a row that may fail before the answer is only shown."""


@dataclass(frozen=True, slots=True)
class SpokenSentence:
    """One sentence's sound, complete: what of the answer it says, in code points, and how long it lasts."""

    number: int
    text: str
    start: int
    end: int
    ms: int


class Listener(Protocol):
    """One connection that hears an answer. None of these yields."""

    def hear(self, turn: str, sentence: int, at: int, rate: int, pcm: bytes) -> bool:
        """A piece of sound; False when it cannot be taken now and is lost for this listener."""

    def sentence_over(self, turn: str, spoken: SpokenSentence) -> None: ...

    def over(self, turn: str, reason: str, ms: int, error: ChatError | None) -> None:
        """Nothing more comes. `reason`: `done`, `hushed`, `stopped`, `length` or `failed`."""


class Speech:
    """Reads one answer to its listeners. Everything but the reading greenlet never yields.

    Attributes:
        listeners: By connection.
        ms: How long the sound lasts that was sent so far.
        reason: Why it is over; empty while it goes on.
    """

    def __init__(
        self,
        log: TurnLog,
        *,
        user_id: str,
        message: str,
        synthesiser: Synthesiser,
        voice: str,
        rate: int,
        clock: Clock,
        on_over: Callable[[Speech], None],
    ) -> None:
        self.log = log
        self.user_id = user_id
        self.message = message
        self.listeners: dict[str, Listener] = {}
        self.ms = 0.0
        self.reason = ""
        self.heard_chars: int | None = None
        self._synthesiser = synthesiser
        self._voice = voice
        self._rate = rate
        self._clock = clock
        self._on_over = on_over
        self._news = Event()
        self._said: list[SpokenSentence] = []
        self._begins: list[float] = []  # of each sentence in the sound, in ms; the one being said is the last
        self._current: Sentence | None = None
        self._plays_until = 0.0
        self._deaf: dict[str, int] = {}  # who misses the rest of which sentence
        self._error: ChatError | None = None
        self._greenlet: gevent.Greenlet | None = None

    @property
    def turn_id(self) -> str:
        return self.log.turn_id

    def start(self) -> None:
        self.log.watch(self)
        self._greenlet = gevent.spawn(self._read)
        self._greenlet.link(lambda _: self._close())

    def wake(self, urgent: bool) -> None:
        """The log has grown: a stopped answer is silent at once."""
        self._news.set()
        if urgent and self.log.ended is not None and self.log.ended.status == "stopped":
            self.stop("stopped")

    def stop(self, reason: str, *, is_noted: bool = False) -> None:
        """Be silent. What had been heard by now is noted, unless somebody said it (`is_noted`)."""
        if self.reason:
            return
        if not is_noted:
            self.note_heard(self.played_ms)
        self.reason = reason
        if self._greenlet is not None:
            self._greenlet.kill(block=False)

    @property
    def played_ms(self) -> float:
        """How much has been heard by now, if it was played as it came."""
        return max(self.ms - max(self._plays_until - self._clock.monotonic(), 0) * 1000, 0)

    def leave(self, key: str, heard_ms: float | None) -> int | None:
        """A connection listens no more, having heard so much; the last one to leave ends it.

        Returns:
            Code points of the answer that were heard; None when all that was said was.
        """
        is_noted = self.listeners.pop(key, None) is not None and heard_ms is not None
        if is_noted and heard_ms is not None:
            self.note_heard(heard_ms)
        if not self.listeners:
            self.stop("hushed", is_noted=is_noted)
        return self.heard_chars

    def note_heard(self, ms: float) -> None:
        """Who heard most counts."""
        chars = self._chars_at(ms)
        if chars is not None and self.reason in ("done", "length") and ms >= self.ms - 1:
            chars = None
        if chars is not None:
            self.heard_chars = max(self.heard_chars or 0, chars)

    def _chars_at(self, ms: float) -> int | None:
        """Where in the answer playback was; a sentence is taken to be read at one speed."""
        number = bisect_right(self._begins, ms) - 1
        if number < 0:
            return 0
        begin = self._begins[number]
        if number < len(self._said):
            said = self._said[number]
            start, end, lasts = said.start, said.end, said.ms
        elif self._current is not None:
            start, end = self._current.start, self._current.end
            lasts = max(round(self.ms - begin), (end - start) * 60)  # its sound is not complete yet
        else:
            return self._said[-1].end if self._said else 0
        share = min((ms - begin) / lasts, 1) if lasts else 1
        return start + int((end - start) * share)

    def _read(self) -> None:
        try:
            with self._synthesiser.open(self._voice, self._rate) as mouth:
                self._read_all(mouth)
            self.reason = self.reason or "done"
        except VendorError as error:
            self.reason, self._error = "failed", error
        except Exception as error:  # noqa: BLE001 - the top of a greenlet: the answer is good all the same
            self.reason, self._error = "failed", refusal_of(error, "reading an answer aloud")

    def _read_all(self, mouth: Mouth) -> None:
        failed = 0
        for sentence in self._sentences():
            if sentence.end > MOST_CHARS:
                self.reason = "length"
                return
            try:
                self._say(mouth, sentence)
                failed = 0
            except VendorError as error:
                failed += 1
                if failed >= FAILURES or not error.retryable:
                    raise
                logger.warning("a sentence of turn %s was not said: %s", self.turn_id, error.code)

    def _sentences(self) -> Iterator[Sentence]:
        log, cutter = self.log, SentenceCutter()
        position = Position(log.epoch, 0)
        while True:
            self._news.clear()
            if position.epoch != log.epoch:  # begun over: what was read is not said again
                piece, position = log.answer()[cutter.taken :], Position(log.epoch, log.offset)
                yield from cutter.feed(piece)
            elif spans := log.read(position.offset):
                position = Position(position.epoch, spans[-1].last)
                yield from cutter.feed("".join(span.text for span in spans if span.kind == "text"))
            elif log.ended is not None:
                yield from cutter.finish()
                return
            else:
                self._news.wait()

    def _say(self, mouth: Mouth, sentence: Sentence) -> None:
        number, at, begin = len(self._said), 0, self.ms
        self._begins.append(begin)
        self._current = sentence
        saying = mouth.say(sentence.text)
        try:
            for sound in saying:
                for piece in _cut(sound):
                    self._keep_pace()
                    self._send(number, at, mouth.rate, piece)
                    at += len(piece)
        finally:
            saying.close()
            spoken = SpokenSentence(number, sentence.text, sentence.start, sentence.end, round(self.ms - begin))
            self._said.append(spoken)
            self._current = None
            for listener in list(self.listeners.values()):
                listener.sentence_over(self.turn_id, spoken)

    def _keep_pace(self) -> None:
        while (ahead_s := self._plays_until - self._clock.monotonic()) > AHEAD_S:
            gevent.sleep(ahead_s - AHEAD_S)

    def _send(self, number: int, at: int, rate: int, piece: bytes) -> None:
        lasts_s = len(piece) / 2 / rate
        self._plays_until = max(self._plays_until, self._clock.monotonic()) + lasts_s
        self.ms += lasts_s * 1000
        for key, listener in list(self.listeners.items()):
            if self._deaf.get(key) != number and not listener.hear(self.turn_id, number, at, rate, piece):
                self._deaf[key] = number

    def _close(self) -> None:
        """It is over, however: tell, and let the books be written. Called once."""
        self.log.unwatch(self)
        for listener in self.listeners.values():
            listener.over(self.turn_id, self.reason or "stopped", round(self.ms), self._error)
        self._on_over(self)


def _cut(sound: bytes) -> Iterator[bytes]:
    for at in range(0, len(sound), PIECE_BYTES):
        yield sound[at : at + PIECE_BYTES]
