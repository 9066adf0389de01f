"""The entry: patch, read the settings, build the application, serve. Nobody imports this but its own test."""

# ruff: noqa: E402
from gevent import monkey

monkey.patch_all()

import gc
import os
import socket
import sys

sys.modules["aiohttp"] = None  # type: ignore[assignment]  # wanted by a client of python-engineio's that is not used:
# without it a start takes 0.14 s and 12 MB less

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import flask
from flask import Flask

import config
from blueprints.compat.backend import Backend
from blueprints.compat.places import places
from blueprints.registration import register
from db.errors import DatabaseBusy
from db.migrate import upgrade
from services.assembly import Services, assemble
from services.discovery import collect
from services.errors import ChatError
from services.instance import Instance, kept_secret
from services.telemetry.exposition import merged
from services.telemetry.logs import configure_logging, name_worker
from sockets.gateway import Gateway
from sockets.serving.affinity import Siblings
from sockets.serving.inheritance import inherited, without_inheritance
from sockets.serving.machines import Machines
from sockets.serving.post import Post
from sockets.serving.worker import Worker, listen

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

    def neighbours(self) -> tuple[Siblings, Machines | None]:
        """Who else holds sessions of this server. From now on logs and metrics tell which process this is."""
        settings, link, metrics = self.services.settings.server, self.services.link, self.services.metrics
        siblings = Siblings(settings.data_dir, self.services.instance)
        siblings.report = metrics.exposition
        metrics.told = lambda: merged({siblings.name: metrics.exposition(), **siblings.reports()})
        name_worker(siblings.name)
        machines = None
        if link is not None and settings.machine_address:
            machines = Machines(link, siblings.machine, settings.machine_address)
        return siblings, machines

    def workers(
        self,
        listeners: Mapping[int, socket.socket],
        siblings: Siblings | None = None,
        machines: Machines | None = None,
    ) -> list[Worker]:
        """What serves it, then what serves the other ports.

        Args:
            listeners: Sockets that listen already, by port, the server's own first; none to listen as the settings say.
        """
        server, limits = self.services.settings.server, self.gateway.limits
        first = next(iter(listeners), server.port)
        found = [
            Worker(
                self.wsgi,
                server.host,
                server.port,
                engine=self.gateway.socketio.server.eio,
                limits=limits,
                endpoints=self.gateway.endpoints,
                listener=listeners.get(first),
                siblings=siblings,
                machines=machines,
            )
        ]
        for port, app in self.others.items():
            if listeners and port not in listeners:
                raise config.ConfigError(f"COMPAT asks for port {port}, which is opened at a restart only.")
            found.append(Worker(app.wsgi_app, server.host, port, limits=limits, listener=listeners.get(port)))
        return found

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
    listeners = inherited(env)
    if settings.server.workers > 1:
        supervise(settings, listeners)
    application = create_app(settings, env)
    _settle()
    try:
        neighbours = application.neighbours() if settings.server.machine_address else ()
        workers = application.workers(listeners, *neighbours)
        for worker in workers:
            worker.start()
        print(_ready(application.services, *workers[0].address), flush=True)
        workers[0].run()
        application.services.turns.drain(settings.server.drain_s)
        for worker in workers:
            worker.stop()
    finally:
        application.close()
    return 0


def supervise(settings: config.Settings, listeners: Mapping[int, socket.socket]) -> NoReturn:
    """Make what is made once, listen, and become the process that keeps `WORKERS` workers.

    Raises:
        config.ConfigError: An address cannot be had.
        DatabaseUnavailable: The database cannot be reached.
    """
    from sockets.serving import supervisor  # it brings gunicorn, which one process has no use for

    server = settings.server
    Instance(server.data_dir).close()
    kept_secret(server.data_dir)
    upgrade(settings.database_url, wait_s=settings.database.wait_s)
    others = {place.port for place in places(collect("blueprints.compat", Backend), settings.compat.backends)} - {0}
    own = list(listeners.values()) or [listen(server.host, port) for port in (server.port, *sorted(others))]
    supervisor.become(
        "server:serve_at",
        listeners=own,
        workers=server.workers,
        drain_s=server.drain_s,
        log_level="debug" if server.debug else server.log_level,
        env={**without_inheritance(os.environ), "PYTHONPATH": str(ROOT)},
    )


def serve_at(post: Post) -> None:
    """Serve as one of several workers, in a process of its own, until told to end."""
    env = config.environment(ROOT)
    settings = config.load(env)
    configure_logging(settings.server)
    application = create_app(settings, env)
    _settle()
    try:
        workers = application.workers(post.listeners, *application.neighbours())
        for worker in workers:
            worker.start()
        if post.first_word.take():
            print(_ready(application.services, *workers[0].address), flush=True)
        workers[0].run_at(post)
        if not post.last_word.was_said:  # the others go on: clients go to them first, and are refused nothing
            _leave(workers)
        application.services.turns.drain(settings.server.drain_s)
        _leave(workers)
        for worker in workers:
            worker.stop()
    finally:
        application.close()


def _leave(workers: list[Worker]) -> None:
    for worker in workers:
        worker.leave()


def _settle() -> None:
    """What was built stays: the collector need not walk it again, some 90 ms each time with the hub standing still."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 50, 100)


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
