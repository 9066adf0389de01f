"""What the simulated vendor says: known in advance to the process that sends it and to the one that checks it."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import accumulate

_SENTENCE = (
    "The| quick| answer| to| your| question| is| that| a| language| model| writes| one| piece| at| a| time|,| and| each"
    "| of| them| should| reach| the| reader| at| once|.|\n\n"
    "|春|眠|不|觉|晓|，|处|处|闻|啼|鸟|。|模型|一个|词|一个|词|地|写|，|读者|应该|马上|看到|。|\n\n"
    '|```|python|\n|print|(|"|hello|"|)|\n|```|\n|Then| it| ends|,| as| every| answer| does|.|\n'
)
PIECES = tuple(_SENTENCE.split("|"))


@dataclass(frozen=True, slots=True)
class Script:
    """One stream's answer: its number in brackets, then pieces from the cycle, begun at a place of its own.

    Neighbouring streams differ at nearly every position, so that a piece of one does not pass for a piece of the other.
    """

    stream: int
    count: int

    @property
    def prompt(self) -> str:
        """The user message by which the vendor knows which stream is asked for."""
        return f"Stream {self.stream}, please."

    @staticmethod
    def number_in(prompt: str) -> int:
        """The stream a prompt asks for."""
        return int("".join(letter for letter in prompt if letter.isdigit()) or 0)

    @property
    def first(self) -> str:
        return f"[{self.stream}] "

    def cycle_index(self, position: int) -> int:
        """The place in `PIECES` of the piece at `position`, from 1; position 0 is `first`."""
        return (self.stream + position) % len(PIECES)

    def pieces(self) -> list[str]:
        return [self.first, *(PIECES[self.cycle_index(position)] for position in range(1, self.count))]

    def text(self) -> str:
        return "".join(self.pieces())

    def ends(self) -> list[int]:
        """How many code points the answer has after each piece."""
        return list(accumulate(len(piece) for piece in self.pieces()))
