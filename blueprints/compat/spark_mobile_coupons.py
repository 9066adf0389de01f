"""`/user/get_token`: a coupon for its worth in tokens and pictures, once a user."""

from __future__ import annotations

import flask

from blueprints.compat.backend import CompatBlueprint
from blueprints.compat.spark_mobile_members import Members
from blueprints.compat.spark_mobile_wire import Coded, body, fails_as, ok, optional, trimmed
from services.administration.coupons import Coupons
from services.assembly import Services
from services.errors import Conflict, NotFound
from services.notes import Notes

_LONGEST = 256


def mount(blueprint: CompatBlueprint, services: Services, members: Members, coupons: Coupons) -> None:
    """Add the route."""
    notes: Notes = services.notes

    @blueprint.post("/user/get_token")
    @fails_as("USER_GET_TOKEN_ERROR")
    def get_token() -> flask.Response:
        fields = body()
        name = trimmed(fields, "token_id", longest=_LONGEST)
        identity = members.by_uuid(fields.raw("user_id"))
        try:
            coupons.redeem(name, identity.user_id, academy=optional(fields, "user_academy", longest=_LONGEST))
        except NotFound as error:
            members.count_guess("TOKEN_NOT_FOUND")
            raise Coded("TOKEN_NOT_FOUND", "没有这个兑换码。") from error
        except Conflict as error:
            raise Coded("TOKEN_ALREADY_GET", "已经领取过了。") from error
        with services.uow.read() as session:
            quota = services.ledger.balance(session, identity.user_id)
        notes.quota_changed(identity.user_id, tokens=quota.tokens, pictures=quota.pictures)
        return ok("领取成功")
