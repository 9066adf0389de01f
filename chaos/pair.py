"""One user with two devices: the first asks, both watch, and then the next question is asked."""

from __future__ import annotations

import itertools
import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import gevent

from chaos.book import Book
from chaos.plan import Plan, Question
from chaos.viewer import Tally, Viewer

UNTIL_KNOWN_S = 90.0
UNTIL_ENDED_S = 120.0


@dataclass(slots=True)
class Watched:
    """One turn as its two viewers saw it; `began` and `ended` are monotonic, `ended` when both had the ending."""

    question: Question
    began: float
    turn: str = ""
    books: tuple[Book, ...] = ()
    ended: float | None = None


class Pair:
    """Runs as one greenlet; its two viewers have one each."""

    def __init__(self, number: int, address: tuple[str, int], plan: Plan, tally: Tally) -> None:
        rng = random.Random(f"pair {plan.seed} {number}")
        self.viewers = tuple(Viewer(f"viewer {number}{side}", address, tally, rng) for side in "ab")
        self.viewers[1].other = self.viewers[0] if plan.workers > 1 else None
        self._rng = rng
        self._tally = tally
        self._greenlets: list[gevent.Greenlet] = []

    def join(self) -> None:
        """Connect both devices, as one user."""
        first, second = self.viewers
        self._greenlets.append(gevent.spawn(first.run))
        if not first.joined.wait(UNTIL_KNOWN_S):
            self._tally.faults.append(f"{first.name} could not connect")
            return
        second.token = first.token
        self._greenlets.append(gevent.spawn(second.run))
        second.joined.wait(UNTIL_KNOWN_S)

    def run(self, questions: Iterator[Question], watched: list[Watched], more: Callable[[], bool]) -> None:
        """Ask and watch, one turn after the other, while there are to be more."""
        gevent.sleep(self._rng.uniform(0, 2))
        while more():
            this = Watched(next(questions), time.monotonic())
            watched.append(this)
            self._watch(this)
            gevent.sleep(self._rng.uniform(0.05, 0.3))

    def leave(self) -> None:
        gevent.killall(self._greenlets)

    def _watch(self, this: Watched) -> None:
        first, second = self.viewers
        first.ask(this.question)
        if not first.answered.wait(UNTIL_KNOWN_S) or first.book is None:
            self._tally.faults.append(f"{this.question.name} was never begun")
            return
        this.turn = first.book.turn
        second.watch(this.turn)
        assert second.book is not None
        this.books = (first.book, second.book)
        limit = time.monotonic() + UNTIL_ENDED_S
        for viewer in self.viewers:
            viewer.ended.wait(max(0.0, limit - time.monotonic()))
        if all(book.end is not None for book in this.books):
            this.ended = time.monotonic()


def numbered(plan: Plan) -> Iterator[Question]:
    """Every question of a run."""
    return map(plan.question, itertools.count(1))
