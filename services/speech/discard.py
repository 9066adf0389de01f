"""A recogniser that hears nothing, for load tests."""

from __future__ import annotations

from dataclasses import dataclass

import config
from services.events import Stop
from services.speech.base import Audio, Heard, SpeechCard, SpeechRequest, SpeechSpec

READ_BYTES = 3_200


@dataclass(frozen=True, slots=True)
class DiscardSettings:
    """Which local recognisers are listed."""

    benchmark_models: bool = config.setting(False, "List the models made for load tests.", env="BENCHMARK_MODELS")


class Discard:
    """Takes every byte and says nothing."""

    def __init__(self, settings: DiscardSettings) -> None:
        self._models: tuple[SpeechCard, ...] = ()
        if settings.benchmark_models:
            note = "Hears nothing: for load tests."
            self._models = (SpeechCard("discard", "Discard", "discard", "discard", languages=("zxx",), note=note),)

    def models(self) -> tuple[SpeechCard, ...]:
        return self._models

    def listen(self, audio: Audio, request: SpeechRequest) -> Heard:
        while audio.read(READ_BYTES):
            pass
        yield Stop("stop")

    def close(self) -> None:
        """Nothing is kept."""


SPEC = SpeechSpec(name="discard", settings=DiscardSettings, prefix="DISCARD", build=Discard, order=900)
