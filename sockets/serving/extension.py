"""Flask-SocketIO on this package's server."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import flask
import flask_socketio

from .engine import Environ, cookie_named
from .limits import ServingLimits
from .origins import OriginPolicy
from .socketio_server import SocketServer


class ParleySocketIO(flask_socketio.SocketIO):
    """Flask-SocketIO's extension; only the server it makes is another."""

    def init_app(self, app: flask.Flask, **options: Any) -> None:
        path = options.pop("path").strip("/")
        self.manage_session = options.pop("manage_session")
        self.server = SocketServer(**options)
        self.async_mode = self.server.async_mode
        app.extensions["socketio"] = self
        self.sockio_mw = flask_socketio._SocketIOMiddleware(self.server, app, socketio_path=path)
        app.wsgi_app = self.sockio_mw  # type: ignore[method-assign]


def make_socketio(
    flask_app: flask.Flask,
    *,
    allowed_origins: Iterable[str] = (),
    host: str = "127.0.0.1",
    port: int = 0,
    limits: ServingLimits | None = None,
    credential: Callable[[Environ], str] | None = None,
    path: str = "socket.io",
    manage_session: bool = False,
) -> flask_socketio.SocketIO:
    """Put Socket.IO before a Flask application. Rooms are this worker's: python-socketio's message queue would send
    everything to every worker, and drop what it cannot deliver.

    Args:
        allowed_origins: See `origins.origin_allowed`, as are `host` and `port`, the address the worker is bound to.
        credential: See `Engine`; by default the `Authorization` header and the cookie that holds Flask's session.
    """
    limits = limits or ServingLimits()
    cookie = flask_app.config["SESSION_COOKIE_NAME"]

    def header_or_session_cookie(environ: Environ) -> str:
        return f"{environ.get('HTTP_AUTHORIZATION', '')}\n{cookie_named(cookie, environ)}".strip()

    return ParleySocketIO(
        flask_app,
        limits=limits,
        origins=OriginPolicy(tuple(allowed_origins), host, port),
        credential=credential or header_or_session_cookie,
        path=path,
        manage_session=manage_session,
    )
