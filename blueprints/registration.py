"""Mounts the HTTP edge on the application: its routes, and what holds for all of them."""

from __future__ import annotations

import re

import flask

from blueprints import (
    access,
    accounts,
    audio,
    conversations,
    health,
    images,
    openai,
    pages,
    pictures,
    spark_keys,
    turns,
)
from blueprints.compat.backend import CompatBlueprint
from blueprints.compat.mounting import Compat, own_rules, refusal_in_shape
from blueprints.contracts import routes as contracts
from blueprints.cors import OriginRule, sharing
from blueprints.headers import harden
from blueprints.identity import Callers
from blueprints.proxies import behind_proxies
from blueprints.reading import MAX_BODY_BYTES
from blueprints.replies import error_to_wire, reads_chinese, refusal, reply
from blueprints.streaming import Streams
from config import ConfigError
from services.assembly import Services


def register(app: flask.Flask, services: Services, origins: OriginRule) -> dict[int, flask.Flask]:
    """Add every route.

    Returns:
        Applications for other ports, which `COMPAT` asks for.

    Raises:
        ConfigError: `COMPAT` has two backends claim one method of one path, or cannot be used.
        ValueError: Two of our own blueprints do.
    """
    callers, streams = Callers(services.doorkeeper, origins), Streams(services.metrics)
    compat = Compat(services, callers, streams)
    _prepare(app, services, callers, origins)
    for blueprint in (
        health.build(services),
        pages.build(),
        contracts.build(),
        accounts.build(services, callers),
        spark_keys.build(services, callers),
        conversations.build(services, callers),
        turns.build(services, callers, streams),
        openai.build(services, callers, streams),
        audio.build(services, callers, streams),
        pictures.build(services, callers),
        images.build(services, callers, streams),
    ):
        app.register_blueprint(blueprint)
    compat.mount(app)
    check_claims(app)
    others: dict[int, flask.Flask] = {}
    for port in compat.ports:
        other = others[port] = flask.Flask(f"parley-{port}", static_folder=None)
        other.secret_key = app.secret_key
        _prepare(other, services, callers, origins)
        compat.mount(other, port)
        check_claims(other)
    return others


def _prepare(app: flask.Flask, services: Services, callers: Callers, origins: OriginRule) -> None:
    """What holds for every route."""
    app.config["MAX_CONTENT_LENGTH"] = MAX_BODY_BYTES
    app.wsgi_app = behind_proxies(app.wsgi_app, services.settings.server.trusted_proxies)  # type: ignore[method-assign]
    app.before_request(access.begin)
    app.before_request(own_rules(callers.check_origin))
    app.after_request(harden)
    app.after_request(own_rules(sharing(origins)))
    app.after_request(access.noting(services.metrics))

    def refuse(error: Exception) -> flask.Response:
        if (shaped := refusal_in_shape(error)) is not None:
            return shaped
        refused = refusal(error)
        services.metrics.errors.labels(refused.error.code).inc()
        wire = error_to_wire(refused.error, chinese=reads_chinese())
        return reply({"error": wire}, refused.status, refused.headers)

    app.register_error_handler(Exception, refuse)


def check_claims(app: flask.Flask) -> None:
    """Refuse two routes that claim one method of one path: the later one would never be reached.

    Raises:
        ValueError: Names both; a `ConfigError` where `COMPAT` can mend it.
    """
    claimed: dict[tuple[str, str], str] = {}
    for rule in app.url_map.iter_rules():
        path = re.sub(r"<[^>]*>", "<>", rule.rule)
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}:
            other = claimed.setdefault((method, path), rule.endpoint)
            if other == rule.endpoint:
                continue
            names = [endpoint.rpartition(".")[0] for endpoint in (other, rule.endpoint)]
            if any(isinstance(app.blueprints.get(name), CompatBlueprint) for name in names):
                both, what = " and ".join(names), f"{method} {rule.rule}"
                raise ConfigError(
                    f"COMPAT: {both} both claim {what}; give one a @/prefix or a @:port.",
                    f"COMPAT：{both} 都占用 {what}；请为其一指定 @/前缀 或 @:端口。",
                )
            raise ValueError(f"{rule.endpoint} and {other} both claim {method} {rule.rule}.")
