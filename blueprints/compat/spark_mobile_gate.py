"""Who may enter spark-mobile's admin area: bearer tokens of an hour, and the one that renews them."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps

import flask
from flask import request

from blueprints.compat import spark_mobile_bearers as bearers
from blueprints.compat.backend import CompatBlueprint
from blueprints.compat.spark_mobile_bearers import Claims, Kind
from blueprints.compat.spark_mobile_wire import Coded, body, fails_as, ok, trimmed
from blueprints.compat.wire import answer
from config import ConfigError
from services.administration.admins import Admin, Admins, checked_chief
from services.assembly import Services
from services.errors import Unauthenticated
from services.instance import kept_secret

Route = Callable[[], flask.Response]

MASK = "******"
"""What stands for a secret: the keys must exist as text, and nobody is told them."""


class Gate:
    """Lets administrators in."""

    def __init__(self, services: Services) -> None:
        """Raises `ConfigError` for a chief who could be guessed."""
        settings, server = services.settings.spark_mobile, services.settings.server
        if fault := checked_chief(settings.admin, settings.admin_password):
            name = "SPARK_MOBILE_ADMIN_PASSWORD" if "password" in fault else "SPARK_MOBILE_ADMIN"
            raise ConfigError(f"{name} cannot be used: {fault}", f"{name} 不可用：{fault}")
        self._clock = services.clock
        self._server = server
        self.admins = Admins(
            uow=services.uow,
            clock=services.clock,
            passwords=services.accounts.passwords,
            throttle=services.sharing.throttle("administrators"),
            chief_name=settings.admin,
            chief_password=settings.admin_password,
        )

    def needs(self, kind: Kind = "access", *, chief: bool = False) -> Callable[[Route], Route]:
        """A route for administrators, or for the chief alone."""

        def guard(route: Route) -> Route:
            @wraps(route)
            def guarded() -> flask.Response:
                scheme, _, token = request.headers.get("Authorization", "").partition(" ")
                if scheme.lower() != "bearer" or not token.strip():
                    return answer({"msg": "Missing Authorization Header"}, 401)
                try:
                    claims = bearers.read(self._key, kind, token.strip(), self._clock.now_ms() / 1000)
                except bearers.Expired:
                    return answer({"msg": "Token has expired"}, 401)
                except bearers.Unreadable:
                    return answer({"msg": f"Only valid {kind} tokens are allowed"}, 422)
                admin = self.admins.still(claims.name, claims.stamp)
                if admin is None:
                    return answer({"msg": "Token has been revoked"}, 401)
                if chief and not admin.chief:
                    raise Coded("PERMISSION_NOT_ALLOW", "权限不足。")
                flask.g.spark_mobile_admin = admin
                return route()

            return guarded

        return guard

    @property
    def _key(self) -> str:
        return self._server.secret_key or kept_secret(self._server.data_dir)

    def token(self, kind: Kind, admin: Admin) -> str:
        return bearers.issue(self._key, kind, Claims(admin.name, admin.stamp), self._clock.now_ms() / 1000)


def mount(blueprint: CompatBlueprint, gate: Gate) -> None:
    """Add the routes."""

    @blueprint.post("/admin/login")
    @fails_as("LOGIN_ERROR")
    def admin_login() -> flask.Response:
        fields = body()
        name, password = (trimmed(fields, field, longest=256) for field in ("admin", "password"))
        try:
            admin = gate.admins.login(name, password, address=request.remote_addr or "")
        except Unauthenticated as error:
            raise Coded("LOGIN_ERROR", "用户名或密码错误。") from error
        return ok(
            "登录成功",
            access_token=gate.token("access", admin),
            refresh_token=gate.token("refresh", admin),
            app_info={"app_id": MASK, "api_key": MASK, "api_secret": MASK},
        )

    @blueprint.get("/admin/refresh")
    @gate.needs("refresh")
    def admin_refresh() -> flask.Response:
        return ok("成功", access_token=gate.token("access", flask.g.spark_mobile_admin))
