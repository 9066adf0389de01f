"""One device: it follows one turn at a time by the viewer's rule, and comes back when its line is lost."""

from __future__ import annotations

import random
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import gevent
from gevent.event import Event

from benchmarks.socketio_frames import PeerBroke
from chaos.book import Book, Step
from chaos.line import Line, LineLost, Refused
from chaos.plan import Question
from chaos.sabotage import Spoiler

BACK_S = (0.1, 2.0)
"""How long a device waits before it comes back: at first, and at most. Each wait is between half and all of it."""

ELSEWHERE = 3
"""How often a device tries to come to another worker than the other device's."""


@dataclass(slots=True)
class Tally:
    """What all devices met.

    Attributes:
        refused: Connections and requests that were answered no, by the answer.
        lines: Lines lost, by the reason.
        faults: What no server may say.
        pieces: Pieces seen, by second of `time.monotonic`.
    """

    refused: Counter[str] = field(default_factory=Counter)
    lines: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)
    pieces: Counter[int] = field(default_factory=Counter)
    connects: int = 0
    reconnects: int = 0


class Viewer:
    """A device of one user. `run` is its greenlet, which reads its line; its pair's greenlet tells it what to do.

    Attributes:
        book: The turn it follows; None while its question is not yet answered.
        lost: When its lines broke.
    """

    def __init__(self, name: str, address: tuple[str, int], tally: Tally, rng: random.Random) -> None:
        self.name = name
        self.token: str | None = None
        self.book: Book | None = None
        self.lost: list[float] = []
        self.worker = ""
        self.other: Viewer | None = None
        self.spoiler: Spoiler | None = None
        self.joined, self.answered, self.ended = Event(), Event(), Event()
        self._address = address
        self._tally = tally
        self._rng = rng
        self._line: Line | None = None
        self._question: Question | None = None
        self._early: list[tuple[str, dict[str, Any]]] = []
        self._attaching = False

    @property
    def is_connected(self) -> bool:
        return self._line is not None

    def run(self) -> None:
        """Connect, follow, come back; until killed."""
        wait_s = BACK_S[0]
        while True:
            try:
                self._line = line = self._open()
                self.joined.set()
                self._resume(line)
                wait_s = BACK_S[0]
                line.read(self._event)
            except LineLost as lost:
                self._tally.lines[str(lost)] += 1
            except Refused as refused:
                self._refused(str(refused))
                wait_s = max(wait_s, refused.retry_after_s)
            except PeerBroke as fault:
                self._tally.faults.append(f"{self.name}: {fault}")
            finally:
                self._lose()
            gevent.sleep(wait_s * self._rng.uniform(0.5, 1.0))
            wait_s = min(wait_s * 2, BACK_S[1])

    def ask(self, question: Question) -> None:
        """Begin a turn and follow it; `answered` is set when its id is known."""
        self._forget()
        self._question = question
        self._resume(self._line)

    def watch(self, turn: str) -> None:
        """Follow a turn from its beginning."""
        self._forget()
        self.book = Book(turn)
        self._resume(self._line)

    def _forget(self) -> None:
        self.book, self._question, self._attaching = None, None, False
        self._early.clear()
        self.answered.clear()
        self.ended.clear()

    def _open(self) -> Line:
        """A line, to another worker than the other device's where that can be had."""
        for left in reversed(range(ELSEWHERE)):
            line = Line(*self._address, self.token)
            self._tally.connects += 1
            self.token = line.welcome.get("token") or self.token
            if left == 0 or self.other is None or line.worker != self.other.worker:
                break
            line.close()
        self.worker = line.worker
        if self.lost:
            self._tally.reconnects += 1
        return line

    def _lose(self) -> None:
        if self._line is None:
            return
        self._line.close()
        self._line, self._attaching = None, False
        now = time.monotonic()
        self.lost.append(now)
        if self.book is not None:
            self.book.lost.append(now)

    def _resume(self, line: Line | None) -> None:
        """Say on a new line, or of a new task, what is wanted."""
        if line is None:
            return
        try:
            if self.book is not None and self.book.end is None:
                self._attach(line, self.book)
            elif self._question is not None and not self.answered.is_set():
                question = self._question
                body = {"client_id": question.name, "text": question.text, "model": question.model}
                line.call("turn_start", body, lambda answer: self._started(line, question, answer))
        except LineLost:
            line.close()  # the reader learns of it and comes back

    def _started(self, line: Line, question: Question, answer: dict[str, Any]) -> None:
        if question is not self._question or self.answered.is_set():
            return
        if not answer["ok"]:
            self._again_later(line, "turn_start", answer["error"])
            return
        book = self.book = Book(answer["turn"])
        if "text" in answer:
            book.replace(answer["epoch"], answer["from"], answer["text"])
        self.answered.set()
        for event, body in self._early:
            self._event(event, body)
        self._early.clear()

    def _attach(self, line: Line, book: Book) -> None:
        self._attaching = True
        body = {"turn": book.turn, "epoch": book.epoch, "after": book.last}
        line.call("turn_attach", body, lambda answer: self._attached(line, book, answer))

    def _attached(self, line: Line, book: Book, answer: dict[str, Any]) -> None:
        if book is not self.book or line is not self._line:
            return
        if not answer["ok"]:
            self._again_later(line, "turn_attach", answer["error"])
            return
        self._attaching = False
        if "text" in answer and (answer["epoch"], answer["from"]) > (book.epoch, book.last):
            book.replace(answer["epoch"], answer["from"], answer["text"])

    def _again_later(self, line: Line, event: str, error: dict[str, Any]) -> None:
        self._refused(f"{event}: {error['code']}")
        if not error["retryable"]:
            self._tally.faults.append(f"{self.name}: {event} was refused for good: {error}")
            return
        wait_s = error.get("retry_after_s") or 0.5

        def again() -> None:
            if line is self._line:
                self._resume(line)

        gevent.spawn_later(wait_s * self._rng.uniform(0.5, 1.0), again)

    def _event(self, event: str, body: dict[str, Any]) -> None:
        if not event.startswith("turn_"):
            return
        book = self.book
        if book is None:
            self._early.append((event, body))  # a first piece may overtake the acknowledgement
            return
        if body["turn"] != book.turn:
            return  # the last entries of the turn before
        if self.spoiler is not None:
            given = self.spoiler.pass_on(event, body)
            if given is None:
                return
            body = given
        now = time.monotonic()
        before = book.pieces
        step = book.take(event, body, now)
        if step is Step.APPLIED:
            if book.pieces > before:
                self._tally.pieces[int(now)] += book.pieces - before
            if book.end is not None:
                self.ended.set()
        elif step is Step.GAP and not self._attaching:
            self._heal(book)

    def _heal(self, book: Book) -> None:
        if not book.gap():
            self.ended.set()
            return
        line = self._line
        if line is not None:
            try:
                self._attach(line, book)
            except LineLost:
                line.close()

    def _refused(self, answer: str) -> None:
        self._tally.refused[answer] += 1
