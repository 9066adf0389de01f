"""`/healthz`, `/readyz`, `/metrics`: what the machines that look after the server are told."""

from __future__ import annotations

import flask
import pytest

from blueprints.registration import check_claims
from tests.servers import Site, Stand


def test_a_healthy_server_is_ready(site: Site) -> None:
    assert site.client().get("/healthz").get_json() == {"status": "ok"}
    answer = site.client().get("/readyz")
    assert (answer.status_code, answer.get_json()) == (
        200,
        {"ready": True, "checks": {"database": True, "accepting": True}},
    )


def test_a_server_that_is_about_to_stop_is_alive_but_not_ready(site: Site) -> None:
    site.services.turns.drain(0)
    answer = site.client().get("/readyz")
    assert (answer.status_code, answer.get_json()["checks"]) == (503, {"database": True, "accepting": False})
    assert site.client().get("/healthz").status_code == 200


def test_a_missing_redis_is_told(site_env: dict[str, str]) -> None:
    """Where one is set, traffic waits for it."""
    stand = Stand({**site_env, "REDIS_URL": "redis://127.0.0.1:1/0"})
    try:
        answer = stand.site.client().get("/readyz")
        assert (answer.status_code, answer.get_json()["checks"]["redis"]) == (503, False)
    finally:
        stand.site.close()


@pytest.mark.parametrize(
    ("peer", "headers", "status"),
    [
        ("127.0.0.1", {}, 200),
        ("::1", {}, 200),
        ("192.0.2.1", {}, 403),
        ("127.0.0.1", {"X-Forwarded-For": "192.0.2.1"}, 403),
        ("192.0.2.1", {"X-Forwarded-For": "127.0.0.1"}, 403),
        ("192.0.2.1", {"Authorization": "Bearer scrape-me"}, 200),
        ("192.0.2.1", {"Authorization": "Bearer scrape"}, 403),
        ("192.0.2.1", {"Authorization": "Bearer "}, 403),
    ],
)
def test_metrics_are_for_this_machine_and_for_who_has_the_token(
    site_env: dict[str, str], peer: str, headers: dict[str, str], status: int
) -> None:
    """A proxy on this machine speaks for the whole world, so what it forwards does not count as local."""
    stand = Stand({**site_env, "METRICS_TOKEN": "scrape-me"})
    try:
        answer = stand.site.client().get("/metrics", headers=headers, environ_base={"REMOTE_ADDR": peer})
        assert answer.status_code == status
    finally:
        stand.site.close()


def test_without_a_metrics_token_an_empty_one_opens_nothing(site: Site) -> None:
    for sent in ("Bearer ", "Bearer", ""):
        answer = site.client().get(
            "/metrics", headers={"Authorization": sent}, environ_base={"REMOTE_ADDR": "192.0.2.1"}
        )
        assert answer.status_code == 403


def test_requests_and_refusals_are_counted(site: Site) -> None:
    client = site.client()
    for _ in range(3):
        client.get("/v1/auth/me")
    told = client.get("/metrics").text
    assert 'parley_http_requests_total{status="401"} 3.0' in told
    assert 'parley_errors_total{code="unauthenticated"} 3.0' in told


def test_two_blueprints_cannot_claim_one_address() -> None:
    """The later one would silently never be reached."""
    app = flask.Flask("clash", static_folder=None)
    one, other = flask.Blueprint("one", "one"), flask.Blueprint("other", "other")
    one.add_url_rule("/things/<thing_id>", "read", lambda thing_id: "one")
    other.add_url_rule("/things/<name>", "read", lambda name: "other", methods=["GET", "PUT"])
    app.register_blueprint(one)
    check_claims(app)
    app.register_blueprint(other)
    with pytest.raises(ValueError, match="GET /things/"):
        check_claims(app)
