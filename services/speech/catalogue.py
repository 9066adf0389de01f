"""Every recogniser that is served here, found by a model's id or by what is spoken."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import config
from services.errors import InvalidRequest, ModelUnavailable, ModelUnknown
from services.speech.base import HasProcesses, Recogniser, SpeechCard, SpeechSpec


class Recognisers:
    """Builds the recognisers and answers for their models. Never touches the network itself."""

    def __init__(self, specs: Iterable[SpeechSpec], env: Mapping[str, str]) -> None:
        """Build every recogniser from its slice of the environment.

        Raises:
            config.ConfigError: A setting is wrong.
        """
        ordered = sorted(specs, key=lambda spec: (spec.order, spec.name))
        self._all = [spec.build(config.read(spec.settings, env, prefix=spec.prefix)) for spec in ordered]

    def cards(self) -> tuple[SpeechCard, ...]:
        """Every model, available or not, as defaults are chosen."""
        return tuple(card for recogniser in self._all for card in recogniser.models())

    def find(self, model_id: str | None, *, language: str | None, rate: int) -> tuple[Recogniser, SpeechCard]:
        """The model asked for, or the first available one that understands the language at that rate.

        Raises:
            ModelUnknown: No recogniser of that id is served here.
            ModelUnavailable: It has no key, or none at all is available.
            InvalidRequest: The model does not understand the language, or does not take the rate.
        """
        for recogniser in self._all:
            for card in recogniser.models():
                if card.id == model_id:
                    _check(card, language, rate)
                    return recogniser, card
                if model_id is None and card.available and _fits(card, language, rate):
                    return recogniser, card
        if model_id is not None:
            raise ModelUnknown("No recogniser of that name is served here.", field="model")
        raise ModelUnavailable("No recogniser for this language is available here.", field="language")

    @property
    def resident_bytes(self) -> int:
        """What processes beside the server hold for recognisers."""
        return sum(recogniser.resident_bytes for recogniser in self._all if isinstance(recogniser, HasProcesses))

    def close(self) -> None:
        for recogniser in self._all:
            recogniser.close()


def _check(card: SpeechCard, language: str | None, rate: int) -> None:
    if not card.available:
        raise ModelUnavailable("This recogniser cannot be used here; choose another one.", field="model")
    if not _speaks(card, language):
        raise InvalidRequest("This recogniser does not understand that language.", field="language")
    if rate not in card.rates:
        raise InvalidRequest("This recogniser does not take that rate.", field="rate")


def _fits(card: SpeechCard, language: str | None, rate: int) -> bool:
    return _speaks(card, language) and rate in card.rates


def _speaks(card: SpeechCard, language: str | None) -> bool:
    return language is None or not card.languages or base_of(language) in card.languages


def base_of(language: str) -> str:
    """`zh` of `zh-CN`, `zh_CN` and `zh`."""
    return language.lower().replace("_", "-").partition("-")[0]
