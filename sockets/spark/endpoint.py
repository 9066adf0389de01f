"""Where Spark's protocol is spoken: handshakes under a prefix, checked as the vendor checks them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

import orjson

from config import ConfigError
from services.accounts.spark_keys import Holder
from services.assembly import Services
from services.faults import refusal_of
from sockets.serving.complaints import Complaints
from sockets.serving.limits import ServingLimits
from sockets.serving.upgrade import UPGRADE_KEY, BadUpgrade, Upgrade
from sockets.spark import codes
from sockets.spark.connection import Connection
from sockets.spark.handshake import REMEMBERED_S, HandshakeRefused, Repeats, SignedAddress, unauthorized, unknown_key
from sockets.spark.question import PATHS

Application = Callable[..., Any]

MOST_OPEN = 64
"""Connections of one user in this process."""


class SparkEndpoint:
    """Takes the handshakes of clients that speak to Spark.

    Attributes:
        path: What its addresses begin with.
    """

    def __init__(self, services: Services, limits: ServingLimits) -> None:
        """Raises `ConfigError` for a path that cannot be one."""
        self._prefix = prefix_of(services.settings.compat.spark_chat)
        self.path = f"{self._prefix}/"
        self._services = services
        self._limits = limits
        self._repeats = Repeats(services.sharing.first_come("spark signatures", life_s=REMEMBERED_S))
        self._complaints = Complaints()
        self._open: set[Connection] = set()
        self._of_user: Counter[str] = Counter()
        services.metrics.gauge("parley_spark_connections", "Connections in Spark's protocol.", lambda: len(self._open))

    def before(self, application: Application) -> Application:
        """`application` with this in front of it."""

        def serve(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
            upgrade: Upgrade | None = environ.get(UPGRADE_KEY)
            if upgrade is None or not environ.get("PATH_INFO", "").startswith(self.path):
                answer: Iterable[bytes] = application(environ, start_response)
                return answer
            try:
                self._take(environ, upgrade)
            except HandshakeRefused as refused:
                self._complaints.note("a Spark handshake that is not good", environ.get("REMOTE_ADDR", ""))
                start_response(refused.status, [("Content-Type", "application/json"), ("Cache-Control", "no-store")])
                return [orjson.dumps({"message": refused.message})]
            return []  # the connection is a WebSocket now

        return serve

    def goodbye(self) -> None:
        """See `WebSocketEndpoint`."""
        for connection in list(self._open):
            connection.goodbye()

    def _take(self, environ: dict[str, Any], upgrade: Upgrade) -> None:
        path = environ["PATH_INFO"].removeprefix(self._prefix)
        holder = self._holder(environ, path)
        try:
            sock, early = upgrade.accept()
        except BadUpgrade as error:
            raise HandshakeRefused("400 Bad Request", str(error)) from None
        connection = Connection(self._services, holder, path, self._ended)
        self._open.add(connection)
        self._of_user[holder.identity.user_id] += 1
        connection.start(sock, early, self._limits, upgrade.on_freed)
        if self._of_user[holder.identity.user_id] > MOST_OPEN:
            connection.refuse(codes.TOO_MANY_AT_ONCE, "AppIdConcurrencyError", f"no more than {MOST_OPEN} connections")

    def _holder(self, environ: dict[str, Any], path: str) -> Holder:
        """Whose connection it is. Raises `HandshakeRefused`."""
        address = SignedAddress.read(environ.get("QUERY_STRING", ""))
        if path not in PATHS:
            raise unauthorized()
        holder = self._find(address.api_key)
        if holder is None:
            raise unknown_key()
        address.check_date(self._services.clock)
        address.check_signature(holder.secret, path=environ["PATH_INFO"], host=environ.get("HTTP_HOST", ""))
        self._repeats.check(address.signature, str(environ.get("REMOTE_ADDR", "")))
        self._services.spark_keys.used(holder)
        return holder

    def _find(self, api_key: str) -> Holder | None:
        try:
            return self._services.spark_keys.find(api_key)
        except Exception as error:
            told = refusal_of(error, "a Spark handshake")
            raise HandshakeRefused("503 Service Unavailable", told.message) from error

    def _ended(self, connection: Connection) -> None:
        self._open.discard(connection)
        user_id = connection.holder.identity.user_id
        self._of_user[user_id] -= 1
        if self._of_user[user_id] <= 0:
            del self._of_user[user_id]


def endpoints_of(services: Services, limits: ServingLimits) -> list[SparkEndpoint]:
    """The endpoint, unless it is switched off."""
    return [] if services.settings.compat.spark_chat.lower() == "off" else [SparkEndpoint(services, limits)]


def prefix_of(written: str) -> str:
    """`SPARK_CHAT_PATH`, checked. Raises `ConfigError`."""
    if not re.fullmatch(r"(/[A-Za-z0-9_-]+)+", written):
        raise ConfigError(
            f"SPARK_CHAT_PATH must be a path such as /spark, or off, not {written!r}.",
            f"SPARK_CHAT_PATH 应为 /spark 这样的路径，或 off，而不是 {written!r}。",
        )
    return written
