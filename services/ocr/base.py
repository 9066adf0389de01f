"""The contract between a turn and whoever reads a picture."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from services.events import ReasoningDelta, Restarted, StateChanged, Stop, TextDelta

Task = Literal["ocr", "describe"]
TASKS: tuple[Task, ...] = ("ocr", "describe")

Reading = Generator[TextDelta | ReasoningDelta | StateChanged | Restarted | Stop, None, None]


@dataclass(frozen=True, slots=True)
class ReadRequest:
    """What is asked of a reader.

    Attributes:
        model: The vendor's own model name.
        media_type: `image/png` or `image/jpeg`; `data` is the file, upright, as large as the card allows.
        prompt: What the user wants to know; empty for nothing in particular.
        language: Which the answer, or the text, is in: a tag such as `zh` or `en`; empty for unknown.
        user: An opaque id of the end user, for vendors that want one.
    """

    model: str
    task: Task
    media_type: str
    data: bytes
    prompt: str = ""
    language: str = ""
    user: str = ""


@dataclass(frozen=True, slots=True)
class ReaderCard:
    """A reader as users see it.

    Attributes:
        id: Public id, unique over all readers.
        vendor_model: The vendor's name for it.
        tasks: What it can do.
        available: False when its key or its packages are missing.
        paid: A reading costs a picture of the user's quota.
        max_bytes, max_side: A larger picture is made smaller before it is given to this reader.
    """

    id: str
    name: str
    provider: str
    vendor_model: str
    tasks: tuple[Task, ...]
    available: bool = True
    paid: bool = True
    max_bytes: int = 10 * 1_048_576
    max_side: int = 30_000

    def to_wire(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "name": self.name,
            "provider": self.provider,
            "tasks": list(self.tasks),
            "available": self.available,
        }


class AttemptClock(Protocol):
    """The turn's time limits, kept by its watchdog."""

    def restart(self) -> None:
        """A new attempt begins: the limit for the first piece counts from now."""


class PictureReader(Protocol):
    """Whoever turns pictures into text."""

    def readers(self) -> tuple[ReaderCard, ...]:
        """What it offers, available or not. Never touches the network."""

    def read(self, request: ReadRequest, clock: AttemptClock) -> Reading:
        """Yield text as it is read, then exactly one `Stop`. Closing the generator ends the work.

        The `result` of the `Stop` of an `ocr` has `regions`: `{text, box, score}` for each line, in the order of the
        text, where the reader knows them, else none. `box`: four `[x, y]` corners in pixels, clockwise from the
        upper left of the line.

        Raises:
            VendorError: One of its kinds.
            ChatError: The picture itself cannot be read.
        """

    def close(self) -> None:
        """Let go of what is held; no reading runs any more."""


@dataclass(frozen=True, slots=True)
class ReaderSpec:
    """How a reader is found and built; the fields are those of `ProviderSpec`."""

    name: str
    settings: type
    prefix: str
    build: Callable[[Any], PictureReader]
    order: int = 100
