"""The entry: patch, read the settings, build the application, serve. Nobody imports this but its own test."""

# ruff: noqa: E402
from gevent import monkey

monkey.patch_all()

import gc
import sys

sys.modules["aiohttp"] = None  # type: ignore[assignment]  # wanted by a client of python-engineio's that is not used:
# without it a start takes 0.14 s and 12 MB less

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import flask
from flask import Flask

import config
from blueprints.registration import register
from db.errors import DatabaseBusy
from services.assembly import Services, assemble
from services.errors import ChatError
from services.instance import kept_secret
from services.telemetry.logs import configure_logging
from sockets.gateway import Gateway
from sockets.serving.worker import Worker

del sys.modules["aiohttp"]

ROOT = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Application:
    """A built server that does not listen yet."""

    flask: flask.Flask
    gateway: Gateway
    services: Services
    others: Mapping[int, Flask]
    """What older backends are served on ports of their own."""

    @property
    def wsgi(self) -> Callable[..., Any]:
        return self.flask.wsgi_app

    def worker(self) -> Worker:
        """What serves it, on the address of the settings."""
        server = self.services.settings.server
        return Worker(
            self.wsgi,
            server.host,
            server.port,
            engine=self.gateway.socketio.server.eio,
            limits=self.gateway.limits,
            endpoints=self.gateway.endpoints,
        )

    def other_workers(self) -> list[Worker]:
        """What serves the other ports, on the same host."""
        host, limits = self.services.settings.server.host, self.gateway.limits
        return [Worker(app.wsgi_app, host, port, limits=limits) for port, app in self.others.items()]

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
    app.secret_key = settings.server.secret_key or kept_secret(settings.server.data_dir)
    gateway = Gateway(app, services)
    others = register(app, services, gateway.origins)
    return Application(app, gateway, services, others)


def serve(env: Mapping[str, str]) -> int:
    """Listen until told to stop; running answers are given `DRAIN_S` to end.

    Returns:
        0 after a stop that was asked for.
    """
    settings = config.load(env)
    configure_logging(settings.server)
    application = create_app(settings, env)
    # What was built stays: the collector need not walk it again, some 90 ms each time with the hub standing still.
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 50, 100)
    try:
        worker, others = application.worker(), application.other_workers()
        for each in (worker, *others):
            each.start()
        print(_ready(application.services, *worker.address), flush=True)
        worker.run()
        application.services.turns.drain(settings.server.drain_s)
        for each in (worker, *others):
            each.stop()
    finally:
        application.close()
    return 0


def reset_password(env: Mapping[str, str], name: str) -> int:
    """Print a ticket with which `name` can set a new password, once, within the hour."""
    services = assemble(config.load(env), env)
    try:
        ticket = services.accounts.issue_reset(name)
    finally:
        services.close()
    print(f"{ticket}\nIt works once, for an hour: sign in on the page, choose “Forgot password”, and paste it there.")
    print("此重置码一小时内有效，仅可用一次：在登录页选择“忘记密码”并粘贴。")
    return 0


def _ready(services: Services, host: str, port: int) -> str:
    shown = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)
    lines = [f"Parley is ready: http://{shown}:{port}"]
    if services.catalogue.default().provider == "demo":
        lines.append("The demo model answers. For a real one put a key into .env, such as")
        lines.append("DEEPSEEK_API_KEY=..., DASHSCOPE_API_KEY=... or OPENAI_API_KEY=..., and start again.")
        lines.append("现在由演示模型回答；在 .env 中填入密钥（如 DEEPSEEK_API_KEY=...）后重新启动，即可用真正的模型。")
    if any(card.provider == "local" and not card.available for card in services.pictures.readers.cards()):
        lines.append("Pictures and speech are not read on this machine: the local engines were left out (--slim).")
        lines.append("本机不识别图片与语音：未安装本地识别引擎（--slim）。")
    return "\n".join(lines)


def main(arguments: list[str]) -> int:
    """`serve`, or `reset-password NAME`."""
    try:
        env = config.environment(ROOT)
        if arguments == ["serve"]:
            return serve(env)
        if len(arguments) == 2 and arguments[0] == "reset-password":
            return reset_password(env, arguments[1])
    except (config.ConfigError, ChatError, DatabaseBusy) as error:
        print(f"parley: {error}", file=sys.stderr)
        return 2
    print("usage: python server.py serve | reset-password NAME", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
