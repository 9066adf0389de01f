"""spark-mobile: accounts with `tokens` and `picTimes`, and what they are spent on. See docs/compat/spark-mobile.md."""

from __future__ import annotations

import flask
from flask import request

from blueprints.compat import spark_mobile_admin as admin
from blueprints.compat import spark_mobile_coupons, spark_mobile_gate, spark_mobile_picture, spark_mobile_voice
from blueprints.compat import spark_mobile_text as text
from blueprints.compat.backend import Backend, CompatBlueprint
from blueprints.compat.cors import open_to_pages
from blueprints.compat.spark_mobile_members import Members
from blueprints.compat.spark_mobile_wire import Coded, body, fails_as, ok, optional, refused, trimmed
from blueprints.identity import Callers
from blueprints.streaming import Streams
from services.accounts.names import MAX_STORED
from services.administration.coupons import Coupons
from services.administration.users import SHORTEST_PASSWORD, Users
from services.assembly import Services
from services.errors import Conflict, Unauthenticated
from services.identity import Identity

_LONGEST = 256


def build(services: Services, callers: Callers, streams: Streams) -> CompatBlueprint:
    """The routes."""
    blueprint = CompatBlueprint("spark_mobile", services, refused)
    open_to_pages(blueprint, callers)
    members, asking = Members(services), text.Asking(services, streams)
    users = users_of(services)
    coupons = Coupons(uow=services.uow, clock=services.clock, ledger=services.ledger)
    accounts = services.accounts

    @blueprint.post("/auth/register")
    @fails_as("REGISTER_ERROR")
    def register() -> flask.Response:
        fields = body()
        try:
            identity, _ = accounts.register(
                trimmed(fields, "username", longest=_LONGEST),
                trimmed(fields, "password", longest=_LONGEST),
                optional(fields, "email", longest=_LONGEST),
                address=request.remote_addr or "",
                longest_name=MAX_STORED,
                shortest_password=SHORTEST_PASSWORD,
            )
        except Conflict as error:
            raise Coded("USER_NAME_REPEAT", "用户名已存在。") from error
        services.tokens.end(identity)  # this edge hands out a `uuid` at the sign-in instead
        users.note_academy(identity.user_id, optional(fields, "academy", longest=_LONGEST))
        return ok("注册成功")

    @blueprint.post("/auth/login")
    @fails_as("LOGIN_ERROR")
    def login() -> flask.Response:
        fields = body()
        try:
            identity, _ = accounts.login(
                trimmed(fields, "username", longest=_LONGEST),
                trimmed(fields, "password", longest=_LONGEST),
                address=request.remote_addr or "",
            )
        except Unauthenticated as error:
            raise Coded("LOGIN_ERROR", "用户名或密码错误。") from error
        services.tokens.end(identity)
        with services.uow.read() as session:
            quota = services.ledger.balance(session, identity.user_id)
        return ok(
            "欢迎",
            uuid=members.uuid_of(identity),
            username=identity.name,
            tokens=quota.tokens,
            picTimes=quota.pictures,
        )

    text.mount(blueprint, services, members, asking)
    spark_mobile_voice.mount(blueprint, services, callers, streams, members)
    spark_mobile_picture.mount(blueprint, services, streams, members)
    spark_mobile_coupons.mount(blueprint, services, members, coupons)
    if services.settings.spark_mobile.admin_password:
        gate = spark_mobile_gate.Gate(services)
        spark_mobile_gate.mount(blueprint, gate)
        admin.mount(blueprint, services, gate, users, coupons, asking)
    return blueprint


def users_of(services: Services) -> Users:
    """What looks after users, over this server's services."""

    def end_turns(user_id: str) -> None:
        identity = Identity(user_id, "", False, "token", "")
        for running in services.turns.running(identity):
            services.turns.stop(identity, turn_id=running.log.turn_id)

    return Users(
        uow=services.uow,
        clock=services.clock,
        passwords=services.accounts.passwords,
        tokens=services.tokens,
        sessions=services.sessions,
        ledger=services.ledger,
        end_turns=end_turns,
    )


SPEC = Backend(
    name="spark-mobile",
    build=build,
    territory=("/textModel", "/voiceModel", "/PictureToTextModel", "/admin", "/user/"),
)
