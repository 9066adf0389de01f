"""The contract between an older backend and the place it is mounted at."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import flask
from flask.sansio.blueprints import BlueprintSetupState

from blueprints.identity import Callers
from blueprints.replies import Refusal, refusal
from blueprints.streaming import Streams
from services.assembly import Services

Shape = Callable[[Refusal], flask.Response]


class CompatBlueprint(flask.Blueprint):
    """A backend's routes, with refusals in its own shape, and with its own word on other sites' pages.

    The rules of our own interface about origins do not hold for it: no CORS header is added and no foreign page is
    refused. A backend that believes a cookie looks after that itself, see `Visitors`.
    """

    def __init__(self, name: str, services: Services, shape: Shape) -> None:
        super().__init__(name, __name__)
        self.services = services
        self.shape = shape
        self.register_error_handler(Exception, self.refusal)

    def refusal(self, error: Exception) -> flask.Response:
        """The backend's answer to any exception; a bug is logged, once."""
        refused = refusal(error)
        self.services.metrics.errors.labels(refused.error.code).inc()
        response = self.shape(refused)
        response.headers.update(refused.headers)
        return response

    def outside(self, error: Exception) -> flask.Response:
        """`refusal` for a request that was meant for this backend, but reached none of its routes."""
        response = self.refusal(error)
        for finish in self.after_request_funcs.get(None, []):
            response = flask.current_app.ensure_sync(finish)(response)
        return response

    def make_setup_state(self, app: Any, options: dict[str, Any], first_registration: bool = False) -> _Setup:
        return _Setup(self, app, options, first_registration)


class _Setup(BlueprintSetupState):
    """Leaves out the paths that begin with one of the option `without`."""

    def add_url_rule(self, rule: str, *args: Any, **kwargs: Any) -> None:
        if not rule.startswith(tuple(self.options.get("without", ()))):
            super().add_url_rule(rule, *args, **kwargs)


@dataclass(frozen=True, slots=True)
class Backend:
    """An older backend.

    Attributes:
        name: As in `COMPAT`.
        build: Makes its routes, once; they may be mounted several times.
        prefix: Its public prefix, under which it is served beside the root; empty for none.
        gives_way: Paths, by their beginnings, that are another backend's where both are mounted at the same place.
        health: What `GET /health` tells of it. Where several are mounted one body tells of all; of a key that two
            have, the value of the later name counts.
        territory: Beginnings of paths at which nobody else lives: what is not found there is told in its shape.
    """

    name: str
    build: Callable[[Services, Callers, Streams], CompatBlueprint]
    prefix: str = ""
    gives_way: Mapping[str, str] = field(default_factory=dict)
    health: Mapping[str, Any] = field(default_factory=dict)
    territory: tuple[str, ...] = ()
