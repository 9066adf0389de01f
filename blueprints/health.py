"""`/healthz`, `/readyz`, `/metrics`: for the machines that look after the server."""

from __future__ import annotations

from hmac import compare_digest
from ipaddress import ip_address

import flask
from flask import request

from blueprints.replies import reply
from services.assembly import Services
from services.errors import Forbidden
from services.telemetry.readiness import Check, Readiness

_FORWARDED = ("Forwarded", "X-Forwarded-For", "X-Real-IP", "Via")


def build(services: Services) -> flask.Blueprint:
    """The routes."""
    blueprint = flask.Blueprint("health", __name__)
    checks: dict[str, Check] = {
        "database": services.database_answers,
        "accepting": lambda: not services.turns.draining,
    }
    if services.settings.redis.address:
        checks["redis"] = services.sharing.redis_answers
        checks["relay"] = services.relay_works
    readiness = Readiness(checks, services.clock)

    @blueprint.get("/healthz")
    def healthz() -> flask.Response:
        return reply({"status": "ok"})

    @blueprint.get("/readyz")
    def readyz() -> flask.Response:
        report = readiness.report()
        ready = all(report.values())
        return reply({"ready": ready, "checks": report}, 200 if ready else 503)

    @blueprint.get("/metrics")
    def metrics() -> flask.Response:
        if not (_asked_from_here() or _has_token(services.settings.server.metrics_token)):
            raise Forbidden("Metrics are told to this machine only; see METRICS_TOKEN.")
        return flask.Response(services.metrics.told(), content_type="text/plain; version=0.0.4; charset=utf-8")

    return blueprint


def _asked_from_here() -> bool:
    """A loopback peer that asks for itself: a proxy on this machine speaks for the whole world."""
    try:
        local = ip_address(request.remote_addr or "").is_loopback
    except ValueError:
        local = False
    return local and not any(name in request.headers for name in _FORWARDED)


def _has_token(token: str) -> bool:
    sent = request.headers.get("Authorization", "")
    return bool(token) and compare_digest(sent.encode(), f"Bearer {token}".encode())
