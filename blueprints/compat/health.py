"""`GET /health` of the older backends: one body for all that are mounted at a place."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import flask

from blueprints.compat.backend import CompatBlueprint
from blueprints.compat.cors import open_to_pages
from blueprints.compat.wire import answer
from blueprints.identity import Callers


def build(told: Mapping[str, Any], owner: CompatBlueprint, callers: Callers) -> CompatBlueprint:
    """The route; it refuses as `owner` does."""
    blueprint = CompatBlueprint("older health", owner.services, owner.shape)
    open_to_pages(blueprint, callers)

    @blueprint.get("/health", strict_slashes=False)
    def tell() -> flask.Response:
        return answer(told)

    return blueprint
