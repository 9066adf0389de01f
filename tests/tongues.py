"""A voice whose sound tells which text it says."""

from __future__ import annotations

import hashlib
from collections.abc import Generator, Iterator
from contextlib import contextmanager

from gevent.event import Event

from services.synthesis.base import Mouth, SynthesisSpec, VoiceCard
from tests.scripted import NoSettings

LETTER_MS = 20


def sound_of(text: str, rate: int) -> bytes:
    """What `Tongue` says to a text."""
    size = rate * LETTER_MS * len(text) // 1000 * 2
    return (hashlib.sha256(text.encode()).digest() * (size // 32 + 1))[:size]


class Tongue:
    """Says every text at once.

    Attributes:
        said: The texts, in order.
        failures: Raised for the sentences that follow, one each.
        free: While it is not set, nothing more is said.
        closed: Set whenever a sentence was left before its end.
    """

    def __init__(self) -> None:
        self.said: list[str] = []
        self.failures: list[Exception | None] = []
        self.free = Event()
        self.free.set()
        self.is_available = True

    def voices(self) -> tuple[VoiceCard, ...]:
        return (
            VoiceCard("tongue", "Tongue", "tongue", self.is_available, ("en", "zh"), "Only noise."),
            VoiceCard("keyless-voice", "Keyless", "tongue", False),
        )

    @contextmanager
    def open(self, voice: str, rate: int) -> Iterator[Mouth]:
        yield _Mouth(self, rate)

    def close(self) -> None:
        """Nothing is kept."""

    @property
    def spec(self) -> SynthesisSpec:
        return SynthesisSpec("tongue", NoSettings, "TONGUE", lambda _: self)


class _Mouth:
    def __init__(self, tongue: Tongue, rate: int) -> None:
        self.rate = rate
        self._tongue = tongue

    def say(self, text: str) -> Generator[bytes, None, None]:
        self._tongue.free.wait(20)
        self._tongue.said.append(text)
        if self._tongue.failures and (failure := self._tongue.failures.pop(0)) is not None:
            raise failure
        sound = sound_of(text, self.rate)
        for at in range(0, len(sound), 20_000):
            yield sound[at : at + 20_000]
