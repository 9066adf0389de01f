"""What a client asks of a voice turn, whichever edge it came through."""

from __future__ import annotations

from dataclasses import dataclass

from services.turns.speak_request import SpeakRequest

RATES = (16_000, 8_000)


@dataclass(frozen=True, slots=True)
class AnswerRequest:
    """Have the transcript answered: in a conversation, or a new one; by a model, or the default one; aloud, or not."""

    conversation: str | None = None
    model: str | None = None
    speak: SpeakRequest | None = None


@dataclass(frozen=True, slots=True)
class VoiceRequest:
    """One utterance of 16-bit little-endian mono PCM. Checked for shape by the edge.

    Attributes:
        client_id: The client's own name for it: the same one within 24 hours means the same turn.
        rate: Samples a second, one of `RATES`.
        language: As in `zh` or `zh-CN`; None leaves it to the recogniser.
        answer: None for the transcript alone.
        is_live: False for a recording that is there as a whole: no limit on its speed, none on silence in it.
    """

    client_id: str
    rate: int
    language: str | None = None
    model: str | None = None
    answer: AnswerRequest | None = None
    is_live: bool = True
