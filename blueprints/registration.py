"""Mounts the HTTP edge on the application: its routes, and what holds for all of them."""

from __future__ import annotations

import re

import flask

from blueprints import access, accounts, conversations, health, openai, pages, turns
from blueprints.contracts import routes as contracts
from blueprints.cors import OriginRule, sharing
from blueprints.headers import harden
from blueprints.identity import Callers
from blueprints.reading import MAX_BODY_BYTES
from blueprints.replies import error_to_wire, reads_chinese, refusal, reply
from blueprints.streaming import Streams
from services.assembly import Services


def register(app: flask.Flask, services: Services, origins: OriginRule) -> None:
    """Add every route.

    Raises:
        ValueError: Two blueprints claim one method of one path.
    """
    app.config["MAX_CONTENT_LENGTH"] = MAX_BODY_BYTES
    callers, streams = Callers(services.doorkeeper, origins), Streams(services.metrics)
    app.before_request(access.begin)
    app.before_request(callers.check_origin)
    app.after_request(harden)
    app.after_request(sharing(origins))
    app.after_request(access.noting(services.metrics))

    def refuse(error: Exception) -> flask.Response:
        refused = refusal(error)
        services.metrics.errors.labels(refused.error.code).inc()
        wire = error_to_wire(refused.error, chinese=reads_chinese())
        return reply({"error": wire}, refused.status, refused.headers)

    app.register_error_handler(Exception, refuse)
    for blueprint in (
        health.build(services),
        pages.build(),
        contracts.build(),
        accounts.build(services, callers),
        conversations.build(services, callers),
        turns.build(services, callers, streams),
        openai.build(services, callers, streams),
    ):
        app.register_blueprint(blueprint)
    check_claims(app)


def check_claims(app: flask.Flask) -> None:
    """Refuse two routes that claim one method of one path: the later one would never be reached.

    Raises:
        ValueError: Names both.
    """
    claimed: dict[tuple[str, str], str] = {}
    for rule in app.url_map.iter_rules():
        path = re.sub(r"<[^>]*>", "<>", rule.rule)
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}:
            other = claimed.setdefault((method, path), rule.endpoint)
            if other != rule.endpoint:
                raise ValueError(f"{rule.endpoint} and {other} both claim {method} {rule.rule}.")
