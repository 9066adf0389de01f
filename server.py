"""The entry: patch, read the settings, build the application, serve. Nobody imports this but its own test."""

# ruff: noqa: E402
from gevent import monkey

monkey.patch_all()

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import flask

import config
from blueprints.registration import register
from services.assembly import Services, assemble
from services.telemetry.logs import configure_logging
from sockets.gateway import Gateway
from sockets.serving.worker import Worker

ROOT = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Application:
    """A built server that does not listen yet."""

    flask: flask.Flask
    gateway: Gateway
    services: Services

    @property
    def wsgi(self) -> Callable[..., Any]:
        return self.flask.wsgi_app

    def close(self) -> None:
        """Let everything go, last built first."""
        self.gateway.close()
        self.services.close()


def create_app(settings: config.Settings, env: Mapping[str, str]) -> Application:
    """Build everything; opens the database, not the port.

    Raises:
        config.ConfigError: A setting cannot be used; the message names it.
    """
    services = assemble(settings, env)
    app = flask.Flask("parley", static_folder=None)
    gateway = Gateway(app, services)
    register(app, services, gateway.origins)
    return Application(app, gateway, services)


def serve() -> int:
    """Listen until told to stop; the exit code of the process."""
    try:
        env = config.environment(ROOT)
        settings = config.load(env)
        configure_logging(settings.server)
        application = create_app(settings, env)
    except config.ConfigError as error:
        print(f"parley: {error}", file=sys.stderr)
        return 2
    worker = Worker(application.wsgi, settings.server.host, settings.server.port)
    return worker.run(on_ready=ready_message(settings, application), on_stop=application.close)


def main(arguments: list[str]) -> int:
    if arguments == ["serve"]:
        return serve()
    print("usage: python server.py serve", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
