"""What a client asks of the voice that reads an answer aloud."""

from __future__ import annotations

from dataclasses import dataclass

from services.synthesis.base import RATES


@dataclass(frozen=True, slots=True)
class SpeakRequest:
    """Have the answer read aloud.

    Attributes:
        voice: Id of a voice; None for the first available one.
        rate: Samples a second, one of `RATES`; a voice that has only one rate of its own keeps to that.
    """

    voice: str | None = None
    rate: int = RATES[1]
