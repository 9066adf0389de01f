"""An answer cut into sentences while it is written, with what nobody reads aloud left out. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass

MOST_CHARS = 200
"""Of a sentence; one without an end in so many code points is cut at a pause, or a blank, or right there."""
MOST_HAN = 80
"""A Chinese character takes as long to say as several letters."""
FENCES = ("```", "~~~")

_ENDS = "。！？；!?;\n"
_CLOSERS = "”’」』）)】》\"'"
_PAUSES = "，,、：:—…"
_ABBREVIATED = re.compile(r"(?:\b(?:Mr|Mrs|Ms|Dr|Prof|St|vs|etc|e\.g|i\.e|No|Fig)|\b[A-Z])$")
_UNREAD = (
    (re.compile(r"!\[([^\]]*)\]\([^)]*\)"), r"\1"),
    (re.compile(r"\[([^\]]*)\]\([^)]*\)"), r"\1"),
    (re.compile(r"https?://\S+"), ""),
    (re.compile(r"^\s*(?:#{1,6}\s+|>\s?|[-*+]\s+)", re.MULTILINE), ""),
    (re.compile(r"^\s*\|?[\s:|-]*\|[\s:|-]*$", re.MULTILINE), ""),
    (re.compile(r"\*\*|__|~~|[*`|]|\$\$?"), " "),
)
_SPOKEN = re.compile(r"\w")


@dataclass(frozen=True, slots=True)
class Sentence:
    """Text to be read aloud: `start` to `end` of the answer in code points, and what is said of it."""

    start: int
    end: int
    text: str


class SentenceCutter:
    """Takes pieces of an answer, gives its sentences as soon as their end is certain.

    A point ends a sentence when a blank follows: 3.14 and example.com are whole. Blocks of code are left out.
    """

    def __init__(self, start: int = 0) -> None:
        """`start`: where in the answer the first piece begins."""
        self._at = start
        self._rest = ""
        self._fence = ""

    @property
    def taken(self) -> int:
        """Code points of the answer that were fed."""
        return self._at + len(self._rest)

    def feed(self, piece: str) -> list[Sentence]:
        self._rest += piece
        return self._cut(is_over=False)

    def finish(self) -> list[Sentence]:
        """What is left when the answer is complete."""
        return self._cut(is_over=True)

    def _cut(self, *, is_over: bool) -> list[Sentence]:
        found: list[Sentence] = []
        while self._rest:
            size = self._code_line(is_over) if self._begins_line() else 0
            if size is None:
                break
            if size or self._fence:
                self._skip(size)
                continue
            size = _end_of(self._rest, is_over=is_over)
            if not size:
                break
            start, text = self._at, self._rest[:size]
            self._skip(size)
            if said := read_aloud(text):
                found.append(Sentence(start, self._at, said))
        return found

    def _skip(self, size: int) -> None:
        self._last = self._rest[size - 1 : size]
        self._at += size
        self._rest = self._rest[size:]

    _last = "\n"

    def _begins_line(self) -> bool:
        return self._last == "\n" or bool(self._fence)

    def _code_line(self, is_over: bool) -> int | None:
        """How much of the next line is code or a fence, 0 for none of it; None when that cannot be told yet."""
        line, newline, _ = self._rest.partition("\n")
        mark = line.lstrip()
        if self._fence:
            if not newline and not is_over:
                return None
            if mark.startswith(self._fence):
                self._fence = ""
            return len(line) + len(newline)
        if mark[:3] in FENCES:
            if not newline and not is_over:
                return None
            self._fence = mark[:3]
            return len(line) + len(newline)
        if not is_over and not newline and len(mark) < 3 and any(fence.startswith(mark) for fence in FENCES):
            return None
        return 0


def read_aloud(text: str) -> str:
    """What is said of a piece of markdown; empty for nothing."""
    for pattern, instead in _UNREAD:
        text = pattern.sub(instead, text)
    text = " ".join(text.split())
    return text if _SPOKEN.search(text) else ""


def _end_of(text: str, *, is_over: bool) -> int:
    """Where the first sentence ends; 0 when that is not certain yet."""
    pause = blank = han = 0
    for at, letter in enumerate(text):
        after = at + 1
        if letter in _ENDS or letter == ".":
            while after < len(text) and text[after] in _CLOSERS:
                after += 1
            if letter == "\n" or (letter in "。！？；" and (after < len(text) or is_over)):
                return after
            if after == len(text):
                return after if is_over else 0
            if text[after].isspace() and not (letter == "." and _ABBREVIATED.search(text, max(0, at - 8), at)):
                return after
        elif letter in _PAUSES:
            pause = after
        elif letter.isspace():
            blank = after
        han += "\u3400" <= letter <= "\u9fff"
        if at + 1 >= MOST_CHARS or han >= MOST_HAN:
            return pause or blank or at + 1
    return len(text) if is_over else 0
