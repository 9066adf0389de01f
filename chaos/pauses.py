"""How long viewers saw nothing after a blow."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from chaos.book import Book

WITHIN_S = {"kill": 8.0, "redis": 20.0, "rolling": 30.0}
"""So long after a blow a silence that begins is put down to it, unless another blow hits the same turn."""
LOST_WITHIN_S = 1.0


@dataclass(slots=True)
class Struck:
    """A blow as it happened.

    Attributes:
        at: `time.monotonic`.
        turns: Turns that ran in the worker that was killed.
        over: When the server was whole again, for a restart.
    """

    kind: str
    at: float
    what: str = ""
    turns: frozenset[str] = field(default_factory=frozenset)
    over: float | None = None


@dataclass(frozen=True, slots=True)
class Pause:
    """The longest silence one viewer of a running turn had after one blow.

    Attributes:
        kind: `taken over`: its turn's worker was killed; `line`: only its own worker was; `bystander`: neither;
            `rolling`: after such a restart; `redis`: Redis was away for a part of it, without which no worker can
            know that another is dead.
        at: When the silence began.
    """

    kind: str
    at: float
    lasted_s: float
    turn: str


def pauses(blows: Sequence[Struck], books: Iterable[Book], over: float) -> list[Pause]:
    """One for each blow and each viewer whose turn ran then. `over` is when nobody watched any more."""
    found = []
    for book in books:
        times = book.times
        if not times:
            continue
        last = times[-1] if book.end is not None else over
        for number, blow in enumerate(blows):
            if not times[0] <= blow.at < last:
                continue
            until = min([blow.at + WITHIN_S[blow.kind], *_next_on(blows[number + 1 :], book.turn)])
            at, lasted_s = _longest(times, blow.at, until, last)
            kind = "redis" if _without_redis(blows, at, at + lasted_s) else _kind(blow, book)
            found.append(Pause(kind, at, lasted_s, book.turn))
    return found


def percentile(values: Sequence[float], share: float) -> float:
    """The value that this share of them does not exceed; 0 for none."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)] if ordered else 0.0


def _next_on(later: Iterable[Struck], turn: str) -> list[float]:
    """When the turn was hit again: by then it had been taken over."""
    return [blow.at for blow in later if turn in blow.turns][:1]


def _longest(times: Sequence[float], begin: float, until: float, last: float) -> tuple[float, float]:
    """Start and length of the longest silence that begins from `begin` to `until`."""
    longest = (begin, 0.0)
    before = begin
    for index in range(bisect_right(times, begin), len(times) + 1):
        now = times[index] if index < len(times) else last
        if now - before > longest[1]:
            longest = (before, now - before)
        if now >= until or now >= last:
            break
        before = now
    return longest


def _without_redis(blows: Iterable[Struck], begin: float, end: float) -> bool:
    return any(blow.kind == "redis" and blow.at < end and begin < (blow.over or math.inf) for blow in blows)


def _kind(blow: Struck, book: Book) -> str:
    if blow.kind != "kill":
        return blow.kind
    if book.turn in blow.turns:
        return "taken over"
    lost = any(blow.at <= at < blow.at + LOST_WITHIN_S for at in book.lost)
    return "line" if lost else "bystander"
