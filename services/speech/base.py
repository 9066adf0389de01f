"""The contract between a voice turn and a recogniser."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from services.events import Stop, TranscriptFinal, TranscriptPartial


class Audio(Protocol):
    """One utterance as it comes in: 16-bit little-endian mono samples, in order, without a hole.

    One greenlet reads. Others may wait for its bytes at a vendor meanwhile.

    Attributes:
        rate: Samples a second.
    """

    @property
    def rate(self) -> int: ...

    def read(self, size: int, timeout_s: float | None = None) -> bytes | None:
        """Exactly `size` bytes once they are there; what is left at the end, then b"" for ever.

        Returns:
            None when `timeout_s` passed first: the speaker pauses. Nothing is taken then.
        """


@dataclass(frozen=True, slots=True)
class SpeechCard:
    """A recogniser's model as users see it.

    Attributes:
        id: Public id, unique over all recognisers.
        vendor_model: The vendor's name for it.
        languages: What it understands, as `zh`, `en`; empty for whatever the vendor recognises by itself.
        note: What a user should know before trusting it; empty for nothing.
        rates: Samples a second that it takes.
    """

    id: str
    name: str
    provider: str
    vendor_model: str
    available: bool = True
    languages: tuple[str, ...] = ()
    note: str = ""
    rates: tuple[int, ...] = (16_000, 8_000)

    def to_wire(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "name": self.name,
            "provider": self.provider,
            "available": self.available,
            "languages": list(self.languages),
            "note": self.note,
        }


@dataclass(frozen=True, slots=True)
class SpeechRequest:
    """What is asked of a recogniser. `language`: as in the card, or None to leave it to the vendor."""

    model: str
    language: str | None = None


Heard = Generator[TranscriptPartial | TranscriptFinal | Stop, None, None]


class Recogniser(Protocol):
    """One vendor."""

    def models(self) -> tuple[SpeechCard, ...]:
        """What it serves, available or not. Never touches the network."""

    def listen(self, audio: Audio, request: SpeechRequest) -> Heard:
        """Yield words as they are heard, then exactly one `Stop`. Closing the generator hangs up.

        A partial replaces the partial before it; a final replaces it for good and is appended to the transcript.
        Times count from the first byte of `audio`. Blanks between finals are the caller's affair.

        Runs in the turn's greenlet, which another one may throw into at any wait: whatever is thrown must leave
        the connection closed. Words already heard are yielded as a final before an error is raised.

        Raises:
            VendorError: One of its kinds. Audio that was read is gone: the caller does not ask again.
        """

    def close(self) -> None:
        """Let go of what is kept between calls."""


@runtime_checkable
class HasProcesses(Protocol):
    """A recogniser that works in processes of its own."""

    @property
    def resident_bytes(self) -> int:
        """What they hold now."""


@dataclass(frozen=True, slots=True)
class SpeechSpec:
    """How a recogniser is found and built.

    Attributes:
        name: The recogniser's name in cards, logs and metrics.
        settings: A frozen dataclass of `config.setting` fields.
        prefix: Of its environment variables.
        order: Lower comes first where the default is chosen among available ones.
    """

    name: str
    settings: type
    prefix: str
    build: Callable[[Any], Recogniser]
    order: int = 100
