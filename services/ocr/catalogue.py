"""Every reader that is served here, found by its id or by what it can do."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import config
from services.errors import ModelUnavailable, ModelUnknown
from services.ocr.base import PictureReader, ReaderCard, ReaderSpec, Task


class Readers:
    """Builds the readers and answers for them. Never touches the network itself."""

    def __init__(
        self, specs: Iterable[ReaderSpec], env: Mapping[str, str], *others: PictureReader
    ) -> None:
        """Build every reader from its slice of the environment; `others` are built already and come last.

        Raises:
            config.ConfigError: A setting is wrong.
        """
        ordered = sorted(specs, key=lambda spec: (spec.order, spec.name))
        self._own = [spec.build(config.read(spec.settings, env, prefix=spec.prefix)) for spec in ordered]
        self._readers = [*self._own, *others]

    def cards(self) -> tuple[ReaderCard, ...]:
        """Every reader, available or not, as defaults are chosen."""
        return tuple(card for _, card in self._all())

    def find(self, task: Task, model: str | None) -> tuple[PictureReader, ReaderCard]:
        """Who does `task`: the one named, or the first that is available.

        Raises:
            ModelUnknown: No reader of that id does this here.
            ModelUnavailable: It has no key here, or was not installed; or nobody can do it.
        """
        able = [(reader, card) for reader, card in self._all() if task in card.tasks]
        if model is not None:
            able = [(reader, card) for reader, card in able if card.id == model]
            if not able:
                raise ModelUnknown("No reader of that name does this here.", field="model")
        for reader, card in able:
            if card.available:
                return reader, card
        if model is not None:
            raise ModelUnavailable("This reader has no key here or is not installed.", field="model")
        raise ModelUnavailable("Nobody here can do this with a picture; the operator can add a key.", field="task")

    @property
    def resident_bytes(self) -> int:
        """What the processes at the server's side hold for reading."""
        return sum(getattr(reader, "resident_bytes", 0) for reader in self._own)

    def close(self) -> None:
        """Let go of the readers that were built here."""
        for reader in self._own:
            reader.close()

    def _all(self) -> Iterator[tuple[PictureReader, ReaderCard]]:
        for reader in self._readers:
            yield from ((reader, card) for card in reader.readers())
