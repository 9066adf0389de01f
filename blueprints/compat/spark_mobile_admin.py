"""spark-mobile's admin area: users, administrators, coupons, and a look at each."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import flask
from flask import request

from blueprints.compat.backend import CompatBlueprint
from blueprints.compat.spark_mobile_gate import MASK, Gate
from blueprints.compat.spark_mobile_text import Asking, Dialog, told_whole
from blueprints.compat.spark_mobile_wire import Coded, body, fails_as, ok, optional, trimmed
from blueprints.reading import query_integer
from services.administration.admins import Admin
from services.administration.coupons import MAX_AMOUNT, CouponRecord, Coupons
from services.administration.users import UserForm, UserRecord, Users
from services.assembly import Services
from services.errors import Conflict, InvalidRequest, NotFound, QuotaExceeded
from services.fields import Fields
from services.identity import Identity

_LONGEST = 256
_CONSOLE_TOKENS = 1_000_000
_MOST_ROWS, _USUAL_ROWS = 500, 20


def mount(
    blueprint: CompatBlueprint, services: Services, gate: Gate, users: Users, coupons: Coupons, asking: Asking
) -> None:
    """Add the routes."""
    _users(blueprint, gate, users)
    _admins(blueprint, gate)
    _coupons(blueprint, gate, coupons)
    _tables(blueprint, gate, users, coupons)
    console = _Console(services)

    @blueprint.post("/admin/console_test")
    @fails_as("MODEL_ERROR")
    @gate.needs()
    def console_test() -> flask.Response:
        fields = body()
        dialog = Dialog(fields.raw("dialog"))
        limits = {
            "max_tokens": fields.integer("limit", low=1, high=8_192, default=4_096),
            "temperature": fields.optional_number("temperature", low=0, high=2),
        }
        try:
            return told_whole(asking.ask(console.identity(), dialog, **limits))
        except QuotaExceeded:
            return told_whole(asking.ask(console.identity(fresh=True), dialog, **limits))


class _Console:
    """Whose account the administrators' tries are on: nobody's that anyone can sign in to."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._identity: Identity | None = None

    def identity(self, *, fresh: bool = False) -> Identity:
        if self._identity is None or fresh or not self._services.doorkeeper.still_valid([self._identity]):
            services, made = self._services, self._services.accounts.create_guest().identity
            services.uow.run(
                lambda session: services.ledger.grant(
                    session,
                    user_id=made.user_id,
                    kind="tokens",
                    amount=_CONSOLE_TOKENS,
                    now_ms=services.clock.now_ms(),
                    note="admin console",
                )
            )
            self._identity = made
        return self._identity


def _users(blueprint: CompatBlueprint, gate: Gate, users: Users) -> None:
    @blueprint.post("/admin/add_normal_user")
    @fails_as("ADD_USER_ERROR")
    @gate.needs()
    def add_normal_user() -> flask.Response:
        try:
            users.add(_form(body(), ""))
        except Conflict as error:
            raise Coded("USER_NAME_REPEAT", "用户名已存在。") from error
        return ok("添加成功")

    @blueprint.post("/admin/modify_normal_user")
    @fails_as("MODIFY_USER_ERROR")
    @gate.needs()
    def modify_normal_user() -> flask.Response:
        fields = body()
        target = trimmed(fields, "target_user", longest=_LONGEST)
        try:
            users.modify(target, _form(Fields(fields.raw("new_user_info"), name="new_user_info"), "new_"))
        except NotFound as error:
            raise Coded("USER_NOT_FOUND", "用户不存在。") from error
        except Conflict as error:
            raise Coded("USER_NAME_REPEAT", "用户名已存在。") from error
        return ok("修改成功")

    @blueprint.post("/admin/delete_normal_user")
    @fails_as("DELETE_USER_ERROR")
    @gate.needs()
    def delete_normal_user() -> flask.Response:
        try:
            users.delete(trimmed(body(), "target_username", longest=_LONGEST))
        except NotFound as error:
            raise Coded("USER_NOT_FOUND", "用户不存在。") from error
        return ok("删除成功")


def _form(fields: Fields, prefix: str) -> UserForm:
    """A user as the page writes one. When it changes one, no password or the mask leaves the old one."""
    password: str | None = optional(fields, f"{prefix}password", longest=_LONGEST)
    if prefix and password in ("", MASK):
        password = None
    return UserForm(
        name=trimmed(fields, f"{prefix}username", longest=_LONGEST),
        password=password,
        tokens=_amount(fields, f"{prefix}tokens"),
        pictures=_amount(fields, f"{prefix}pictimes"),
        email=optional(fields, f"{prefix}email", longest=_LONGEST),
        academy=optional(fields, f"{prefix}academy", longest=_LONGEST),
    )


def _admins(blueprint: CompatBlueprint, gate: Gate) -> None:
    @blueprint.post("/admin/add_admin")
    @fails_as("ADD_ADMIN_ERROR")
    @gate.needs(chief=True)
    def add_admin() -> flask.Response:
        fields = body()
        name, password = (trimmed(fields, field, longest=_LONGEST) for field in ("admin", "password"))
        gate.admins.add(name, password)
        return ok("添加成功")

    @blueprint.post("/admin/modify_admin")
    @fails_as("MODIFY_ADMIN_ERROR")
    @gate.needs(chief=True)
    def modify_admin() -> flask.Response:
        fields = body()
        gate.admins.modify(
            trimmed(fields, "target_admin", longest=_LONGEST),
            name=optional(fields, "new_name", longest=_LONGEST) or None,
            password=optional(fields, "new_password", longest=_LONGEST) or None,
        )
        return ok("修改成功")

    @blueprint.post("/admin/delete_admin")
    @fails_as("DELETE_ADMIN_ERROR")
    @gate.needs(chief=True)
    def delete_admin() -> flask.Response:
        gate.admins.delete(trimmed(body(), "target_admin", longest=_LONGEST))
        return ok("删除成功")


def _coupons(blueprint: CompatBlueprint, gate: Gate, coupons: Coupons) -> None:
    @blueprint.post("/admin/add_token")
    @fails_as("ADD_TOKEN_ERROR")
    @gate.needs()
    def add_token() -> flask.Response:
        fields = body()
        limit = Fields(fields.raw("token_limit"), name="token_limit")
        try:
            coupons.add(
                trimmed(fields, "token_name", longest=_LONGEST),
                tokens=_amount(limit, "tokens"),
                pictures=_amount(limit, "pictimes"),
                range_=optional(fields, "token_range", longest=_LONGEST),
            )
        except Conflict as error:
            raise Coded("TOKEN_REPEAT", "兑换码已存在。") from error
        return ok("添加成功")

    @blueprint.post("/admin/modify_token")
    @fails_as("MODIFY_TOKEN_ERROR")
    @gate.needs()
    def modify_token() -> flask.Response:
        fields = body()
        limit = Fields(fields.raw("new_token_limit"), name="new_token_limit")
        with _naming():
            coupons.modify(
                trimmed(fields, "target_token", longest=_LONGEST),
                tokens=_amount(limit, "tokens"),
                pictures=_amount(limit, "pictimes"),
                range_=optional(fields, "new_token_range", longest=_LONGEST),
                available=_switch(fields.raw("new_token_is_available"), "new_token_is_available"),
            )
        return ok("修改成功")

    @blueprint.post("/admin/delete_token")
    @fails_as("DELETE_TOKEN_ERROR")
    @gate.needs(chief=True)
    def delete_token() -> flask.Response:
        with _naming():
            coupons.delete(trimmed(body(), "target_token", longest=_LONGEST))
        return ok("删除成功")

    @blueprint.get("/admin/control_token")
    @fails_as("CONTROL_TOKEN_ERROR")
    @gate.needs()
    def control_token() -> flask.Response:
        available = _switch(request.args.get("is_available"), "is_available")
        with _naming():
            coupons.switch(request.args.get("token_name", ""), available)
        return ok("成功")


def _tables(blueprint: CompatBlueprint, gate: Gate, users: Users, coupons: Coupons) -> None:
    tables: dict[str, tuple[Any, Any]] = {
        "user": (users, _user_row),
        "admin": (gate.admins, _admin_row),
        "token": (coupons, _coupon_row),
    }

    def table() -> tuple[Any, Any]:
        if (found := tables.get(request.args.get("table", ""))) is None:
            raise Coded("TABLE_NOT_FOUND", "没有这个表。")
        return found

    @blueprint.get("/admin/query_table")
    @fails_as("QUERY_TABLE_ERROR")
    @gate.needs()
    def query_table() -> flask.Response:
        source, row = table()
        start = query_integer("start", low=0, high=2**31, default=0)
        count = query_integer("query_range", low=1, high=_MOST_ROWS, default=_USUAL_ROWS)
        return ok("成功", data=[row(record) for record in source.page(start, count)])

    @blueprint.get("/admin/query_table_count")
    @fails_as("QUERY_TABLE_ERROR")
    @gate.needs()
    def query_table_count() -> flask.Response:
        source, _ = table()
        return ok("成功", total_count=source.count())

    @blueprint.get("/admin/query_table_data")
    @fails_as("QUERY_TABLE_DATA_ERROR")
    @gate.needs()
    def query_table_data() -> flask.Response:
        source, row = table()
        return ok("成功", data=row(source.named(request.args.get("target_name", ""))))


def _user_row(user: UserRecord) -> dict[str, Any]:
    """`Id` is this server's; the half of the pair that proves to be the user is nobody's business."""
    return {
        "Id": user.id,
        "UserName": user.name,
        "PassWord": MASK,
        "Tokens": user.tokens,
        "Email": user.email,
        "PicTimes": user.pictures,
        "Academy": user.academy,
    }


def _admin_row(admin: Admin) -> dict[str, Any]:
    return {"Id": admin.id, "UserName": admin.name, "PassWord": MASK, "Auth": int(admin.chief)}


def _coupon_row(coupon: CouponRecord) -> dict[str, Any]:
    return {
        "Id": coupon.id,
        "TokenName": coupon.name,
        "TokenLimit": {"tokens": coupon.tokens, "pictimes": coupon.pictures},
        "TokenRange": coupon.range,
        "IsAvailable": int(coupon.available),
    }


def _amount(fields: Fields, name: str) -> int:
    """A whole number, which a page's form may have written as text."""
    value = fields.raw(name)
    if isinstance(value, str) and value.strip().isascii() and value.strip().isdigit() and len(value) < 16:
        value = int(value)
    return Fields({name: value}).integer(name, low=0, high=MAX_AMOUNT)


def _switch(value: Any, name: str) -> bool:
    if value in (True, False, "0", "1"):
        return bool(int(value))
    raise InvalidRequest(f"{name} must be 0 or 1.", field=name)


@contextmanager
def _naming() -> Iterator[None]:
    """A coupon that is not found has a code of its own."""
    try:
        yield
    except NotFound as error:
        raise Coded("TOKEN_NOT_FOUND", "没有这个兑换码。") from error
