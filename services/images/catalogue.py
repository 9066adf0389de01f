"""Every painter that is served here, found by its id."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import config
from services.errors import ModelUnavailable, ModelUnknown
from services.images.base import Painter, PainterCard, PainterSpec


class Painters:
    """Builds the painters and answers for them. Never touches the network itself."""

    def __init__(self, specs: Iterable[PainterSpec], env: Mapping[str, str]) -> None:
        """Build every painter from its slice of the environment.

        Raises:
            config.ConfigError: A setting is wrong.
        """
        ordered = sorted(specs, key=lambda spec: (spec.order, spec.name))
        self._painters = [spec.build(config.read(spec.settings, env, prefix=spec.prefix)) for spec in ordered]

    def cards(self) -> tuple[PainterCard, ...]:
        """Every painter, available or not, as the default is chosen."""
        return tuple(card for _, card in self._all())

    def find(self, model: str | None) -> tuple[Painter, PainterCard]:
        """Who draws: the one named, or the first that is available.

        Raises:
            ModelUnknown: No painter of that id is served here.
            ModelUnavailable: It has no key here.
        """
        named = [(painter, card) for painter, card in self._all() if model is None or card.id == model]
        if not named:
            raise ModelUnknown("No model of that name draws here.", field="model")
        for painter, card in named:
            if card.available:
                return painter, card
        raise ModelUnavailable("This model has no key here; ask the operator or choose another one.", field="model")

    def close(self) -> None:
        """Let go of every painter."""
        for painter in self._painters:
            painter.close()

    def _all(self) -> Iterator[tuple[Painter, PainterCard]]:
        for painter in self._painters:
            yield from ((painter, card) for card in painter.painters())
