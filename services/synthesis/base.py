"""The contract between an answer that is read aloud and the voice that reads it."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol

RATES = (16_000, 24_000)


@dataclass(frozen=True, slots=True)
class VoiceCard:
    """A voice as users see it.

    Attributes:
        id: Public id, unique over all synthesisers; the vendor's own name for the voice.
        languages: What it speaks, as `zh`, `en`.
        note: What a user should know before asking for it; empty for nothing.
    """

    id: str
    name: str
    provider: str
    available: bool = True
    languages: tuple[str, ...] = ()
    note: str = ""

    def to_wire(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "name": self.name,
            "provider": self.provider,
            "available": self.available,
            "languages": list(self.languages),
            "note": self.note,
        }


class Mouth(Protocol):
    """A voice at work on one answer, sentence by sentence. For one greenlet.

    Attributes:
        rate: Samples a second of what it says; known once the first piece has come.
    """

    rate: int

    def say(self, text: str) -> Generator[bytes, None, None]:
        """Yield one sentence as 16-bit little-endian mono samples, whole ones. Closing the generator hangs up.

        Raises:
            VendorError: One of its kinds; another sentence may be tried.
        """


class Synthesiser(Protocol):
    """One vendor."""

    def voices(self) -> tuple[VoiceCard, ...]:
        """What it serves, available or not. Never touches the network."""

    def open(self, voice: str, rate: int) -> AbstractContextManager[Mouth]:
        """A mouth that speaks at `rate`, or at the one it has. Nothing is asked of the vendor before it speaks."""

    def close(self) -> None:
        """Let go of what is kept between calls."""


@dataclass(frozen=True, slots=True)
class SynthesisSpec:
    """How a synthesiser is found and built.

    Attributes:
        name: The synthesiser's name in cards, logs and metrics.
        settings: A frozen dataclass of `config.setting` fields.
        prefix: Of its environment variables.
        order: Lower comes first where the default is chosen among available ones.
    """

    name: str
    settings: type
    prefix: str
    build: Callable[[Any], Synthesiser]
    order: int = 100
