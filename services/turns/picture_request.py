"""What a client asks of a turn with pictures, whichever edge it came through."""

from __future__ import annotations

import re
from dataclasses import dataclass

from services.errors import InvalidRequest
from services.ocr.base import Task

SMALLEST_SIDE, LARGEST_SIDE = 64, 2_048
MAX_COUNT = 4
MAX_PROMPT = 4_000

_SIZE = re.compile(r"(\d{1,5})[*x×](\d{1,5})", re.ASCII)


@dataclass(frozen=True, slots=True)
class ReadingRequest:
    """A picture to be read. Exactly one of `data`, `upload` and `picture` is set.

    Attributes:
        data: The file itself.
        upload: An upload that is whole.
        picture: A picture that is stored already.
        always_charged: It costs a picture of the user's quota, even by a reader that costs nothing.
    """

    client_id: str
    task: Task
    data: bytes | None = None
    upload: str | None = None
    picture: str | None = None
    prompt: str = ""
    language: str = ""
    model: str | None = None
    always_charged: bool = False


@dataclass(frozen=True, slots=True)
class DrawingRequest:
    """Pictures to be drawn. `size`: width and height in pixels; None leaves it to the painter."""

    client_id: str
    prompt: str
    size: tuple[int, int] | None = None
    count: int = 1
    model: str | None = None


def size_of(written: str | None) -> tuple[int, int] | None:
    """`width*height`, or with an x between; None for none."""
    if written is None:
        return None
    if (match := _SIZE.fullmatch(written)) is None:
        raise InvalidRequest("size must be width*height in pixels, such as 512*512.", field="size")
    width, height = int(match[1]), int(match[2])
    if not all(SMALLEST_SIDE <= side <= LARGEST_SIDE for side in (width, height)):
        raise InvalidRequest(f"Each side must have {SMALLEST_SIDE} to {LARGEST_SIDE} pixels.", field="size")
    return width, height
