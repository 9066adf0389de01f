"""`/v1/spark/keys`: credentials for clients that speak Spark's own chat protocol to this server."""

from __future__ import annotations

import flask

from blueprints.identity import Callers
from blueprints.reading import body
from blueprints.replies import reply
from services.assembly import Services
from services.errors import Forbidden
from services.identity import Identity


def build(services: Services, callers: Callers) -> flask.Blueprint:
    """The routes."""
    blueprint = flask.Blueprint("spark_keys", __name__)
    keys = services.spark_keys

    def member() -> Identity:
        identity = callers.caller()
        if identity.guest:
            raise Forbidden("Spark keys are for accounts; register first.")
        return identity

    @blueprint.get("/v1/spark/keys")
    def list_keys() -> flask.Response:
        return reply({"keys": [key.to_wire() for key in keys.list(member().user_id)]})

    @blueprint.post("/v1/spark/keys")
    def issue_key() -> flask.Response:
        identity = member()
        made, secret = keys.issue(identity.user_id, body("name").text("name", longest=64))
        record = {name: value for name, value in made.to_wire().items() if name != "last_used_ms"}
        return reply({**record, "api_secret": secret}, 201)

    @blueprint.delete("/v1/spark/keys/<api_key>")
    def revoke_key(api_key: str) -> flask.Response:
        keys.revoke(member().user_id, api_key)
        return reply({})

    return blueprint
