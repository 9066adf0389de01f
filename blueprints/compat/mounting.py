"""Mounts the older backends: at the root, under prefixes, on ports of their own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import flask
from flask import request
from flask.globals import request_ctx
from werkzeug.exceptions import HTTPException, MethodNotAllowed

from blueprints.compat import health
from blueprints.compat.backend import Backend, CompatBlueprint
from blueprints.compat.places import Place, places
from blueprints.identity import Callers
from blueprints.streaming import Streams
from services.assembly import Services
from services.discovery import collect

_EXTENSION = "compat"


class Compat:
    """The older backends of one server, built once each."""

    def __init__(self, services: Services, callers: Callers, streams: Streams) -> None:
        """Build those that `COMPAT` asks for.

        Raises:
            config.ConfigError: `COMPAT`, or a setting of a backend, cannot be used.
        """
        self._callers = callers
        self._places = places(collect("blueprints.compat", Backend), services.settings.compat.backends)
        chosen = {backend.name: backend for mounted in self._places.values() for backend in mounted}
        self._built = {name: backend.build(services, callers, streams) for name, backend in chosen.items()}

    @property
    def ports(self) -> tuple[int, ...]:
        """The ports beside the server's own."""
        return tuple(sorted({place.port for place in self._places} - {0}))

    def mount(self, app: flask.Flask, port: int = 0) -> None:
        """Add the routes of one port."""
        shapes: list[tuple[str, CompatBlueprint]] = []
        for place, backends in self._places.items():
            if place.port == port:
                shapes += self._mount_at(app, place, backends)
        # The longest beginning is the most exact.
        app.extensions[_EXTENSION] = sorted(shapes, key=lambda shape: -len(shape[0]))

    def _mount_at(
        self, app: flask.Flask, place: Place, backends: list[Backend]
    ) -> Iterator[tuple[str, CompatBlueprint]]:
        here = {backend.name for backend in backends}
        for backend in backends:
            blueprint = self._built[backend.name]
            without = [path for other, path in backend.gives_way.items() if other in here]
            app.register_blueprint(
                blueprint, url_prefix=place.prefix or None, name=_named(backend.name, place), without=without
            )
            yield from ((place.prefix + path, blueprint) for path in backend.territory)
            if len(here) == 1 and (place.prefix or place.port):
                yield place.prefix + "/", blueprint
        if told := {key: value for backend in backends for key, value in backend.health.items()}:
            owner = self._built[next(backend.name for backend in backends if backend.health)]
            app.register_blueprint(
                health.build(told, owner, self._callers), url_prefix=place.prefix or None, name=_named("health", place)
            )


def own_rules(hook: Callable[..., Any]) -> Callable[..., Any]:
    """`hook`, a `before_request` or `after_request`, for every route but an older backend's."""

    def guarded(*response: flask.Response) -> Any:
        return (response[0] if response else None) if _backend() is not None else hook(*response)

    return guarded


def refusal_in_shape(error: Exception) -> flask.Response | None:
    """The answer to a request that reached no route, in the shape of the backend whose address it was."""
    blueprint = _backend()
    if blueprint is None and isinstance(error, MethodNotAllowed) and error.valid_methods:
        endpoint, _ = request_ctx.url_adapter.match(method=next(iter(error.valid_methods)))  # type: ignore[union-attr]
        found = flask.current_app.blueprints.get(str(endpoint).rpartition(".")[0])
        blueprint = found if isinstance(found, CompatBlueprint) else None
    elif blueprint is None and isinstance(error, HTTPException):
        shapes: list[tuple[str, CompatBlueprint]] = flask.current_app.extensions.get(_EXTENSION, [])
        blueprint = next((shape for path, shape in shapes if request.path.startswith(path)), None)
    return blueprint.outside(error) if blueprint is not None else None


def _backend() -> CompatBlueprint | None:
    """The older backend whose route is asked, if it is one's."""
    found = flask.current_app.blueprints.get(request.blueprint or "")
    return found if isinstance(found, CompatBlueprint) else None


def _named(name: str, place: Place) -> str:
    return f"{name} at {place}"
