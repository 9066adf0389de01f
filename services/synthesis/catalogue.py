"""Every voice that is served here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import config
from services.errors import ModelUnknown
from services.synthesis.base import Synthesiser, SynthesisSpec, VoiceCard


class Voices:
    """Builds the synthesisers and answers for their voices. Never touches the network itself."""

    def __init__(self, specs: Iterable[SynthesisSpec], env: Mapping[str, str]) -> None:
        """Build every synthesiser from its slice of the environment.

        Raises:
            config.ConfigError: A setting is wrong.
        """
        ordered = sorted(specs, key=lambda spec: (spec.order, spec.name))
        self._all = [spec.build(config.read(spec.settings, env, prefix=spec.prefix)) for spec in ordered]

    def cards(self) -> tuple[VoiceCard, ...]:
        """Every voice, available or not, as defaults are chosen."""
        return tuple(card for synthesiser in self._all for card in synthesiser.voices())

    def find(self, voice_id: str | None) -> tuple[Synthesiser, VoiceCard] | None:
        """The voice asked for, or the first available one; None when it is not available, or none is.

        Raises:
            ModelUnknown: No voice of that id is served here.
        """
        for synthesiser in self._all:
            for card in synthesiser.voices():
                if voice_id in (None, card.id) and card.available:
                    return synthesiser, card
                if voice_id == card.id:
                    return None
        if voice_id is not None:
            raise ModelUnknown("No voice of that name is served here.", field="answer.speak.voice")
        return None

    def close(self) -> None:
        for synthesiser in self._all:
            synthesiser.close()
