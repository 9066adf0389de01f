"""Text as it grows, from a vendor that may send what is new or, each time, all there is. Pure."""

from __future__ import annotations

GROWN = 3  # frames in a row that repeat all before them and add to it: no answer does that by itself
SAME = 3  # frames in a row that are equal: a model that says a word again and again
HELD = 16  # frames that may wait for a decision
LONGEST_PERIOD = 64


class Increments:
    """Gives what is new in each frame of one answer.

    New text was asked for, so each frame counts as that until frames say otherwise. From the second frame on: one that
    does not begin with the frame before it settles that only new text comes. Frames that do begin so may be an answer
    that repeats itself ("ha", "haha") as well as a repeated whole ("He", "Hello"); they wait until it shows, the first
    frame never does. What repeats one unit and nothing else shows nothing and is taken as new text in the end.
    """

    __slots__ = ("_first", "_first_tokens", "_grown", "_held", "_last", "_last_tokens", "_same", "is_new", "is_whole")

    def __init__(self) -> None:
        self.is_new = False
        self.is_whole = False
        self._first = self._last = ""
        self._first_tokens = self._last_tokens = 0
        self._held: list[str] = []
        self._grown = self._same = 0

    def feed(self, text: str, tokens: int = 0) -> str:
        """Take a frame's text; give what may be shown now, often the text itself, sometimes nothing.

        Args:
            tokens: The vendor's count so far, 0 when it told none. Text without new tokens is no new text.
        """
        if self.is_new or not text:
            return text
        if self.is_whole:
            return self._beyond(text)
        if not self._last:
            self._first = self._last = text
            self._first_tokens = self._last_tokens = tokens
            return text
        if not text.startswith(self._last):
            return self._as_new() + text
        self._held.append(text)
        if len(text) > len(self._last):
            self._grown += 1
            self._same = 0
        elif not tokens or tokens > self._last_tokens:
            self._same += 1
        self._last, self._last_tokens = text, tokens
        if self._grown >= GROWN and not self._repeats_one_unit():
            return self._as_whole()
        if self._same >= SAME or len(self._held) >= HELD:
            return self._as_new()
        return ""

    def end(self) -> str:
        """The answer is over: give what still waits."""
        if not self._held:
            return ""
        if self._grown:
            return self._as_new() if self._repeats_one_unit() else self._as_whole()
        is_counted_once = 0 < self._last_tokens <= self._first_tokens
        return self._as_whole() if is_counted_once else self._as_new()

    def _as_new(self) -> str:
        self.is_new = True
        text = "".join(self._held)
        self._held.clear()
        return text

    def _as_whole(self) -> str:
        self.is_whole = True
        self._held.clear()
        return self._last[len(self._first) :]

    def _beyond(self, whole: str) -> str:
        """What a whole adds to the one before it. One that does not go on from it begins anew, as a next step's."""
        if whole.startswith(self._last):
            new = whole[len(self._last) :]
        elif self._last.startswith(whole):
            return ""  # trimmed; nothing shown can be taken back
        else:
            new = whole
        self._last = whole
        return new

    def _repeats_one_unit(self) -> bool:
        text = self._last
        longest = min(len(self._first), LONGEST_PERIOD)
        return any(text[period:] == text[:-period] for period in range(1, longest + 1))
