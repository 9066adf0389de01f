"""Which model answers behind an older route."""

from __future__ import annotations

from services.providers.catalogue import Catalogue

APPLICATION = "bailian-app"
"""The model id of the application that `APP_ID` names; see docs/providers/qwen.md."""


def first_of(catalogue: Catalogue, provider: str) -> str:
    """The model of a vendor that comes first, when its key is set; else the server's default model.

    Raises:
        ModelUnavailable: No model at all is available.
    """
    for card in catalogue.cards():
        if card.provider == provider and card.available and card.id != APPLICATION:
            return card.id
    return catalogue.default().id


def application(catalogue: Catalogue) -> str:
    """The operator's Bailian application; without one the first model of its vendor.

    Raises:
        ModelUnavailable: No model at all is available.
    """
    return APPLICATION if has(catalogue, APPLICATION) else first_of(catalogue, "dashscope")


def has(catalogue: Catalogue, model_id: str) -> bool:
    """Whether a model of this name can be asked now."""
    return any(card.id == model_id and card.available for card in catalogue.cards())
