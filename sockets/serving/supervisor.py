"""Keeps several workers on one port: replaced when they die, renewed by SIGHUP, drained by SIGTERM.

A process of its own that is not patched by gevent and imports little: gunicorn's arbiter with workers of ours. Run as
`python -m sockets.serving.supervisor PLAN`, with listening sockets inherited.
"""

from __future__ import annotations

import faulthandler
import importlib
import json
import logging
import os
import signal
import socket
import sys
import time
from collections.abc import Mapping
from typing import Any, NoReturn

from gunicorn.app.base import BaseApplication
from gunicorn.arbiter import Arbiter
from gunicorn.workers.base import Worker

from config import ConfigError, ServerSettings
from services.telemetry.logs import configure_logging
from sockets.serving.post import FirstWord, LastWord, Post

log = logging.getLogger("parley.supervisor")

SILENCE_S = 30
"""A worker that did not beat for so long hangs, and is killed."""
RETRY_S = 2.0
"""Between a worker that could not start and the next try."""
LEAVING_S = 15.0
"""What a worker may take to end, beside the time its running answers are given."""


class SupervisedWorker(Worker):
    """Loads the application after the fork, so that a reload runs the code that is on the disk then."""

    renewed = False
    """To be replaced when its turn comes."""
    retiring = False
    """To be let go as soon as another can take its place."""
    leave_by = 0.0
    """When it was told to go: the moment (of `time.monotonic`) its patience ends."""

    @property
    def ready(self) -> bool:
        # Made with the wall clock's time, which is decades ahead of the monotonic one that each beat leaves there.
        return bool(self.tmp.last_update() <= time.monotonic())

    def init_process(self) -> None:
        for number in {*Arbiter.SIGNALS, *Worker.SIGNALS, signal.SIGCHLD}:
            signal.signal(number, signal.SIG_DFL)
        for number in (signal.SIGINT, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2, signal.SIGWINCH):
            signal.signal(number, signal.SIG_IGN)  # what is meant for the keeper, but reaches a whole terminal's group
        signal.signal(signal.SIGQUIT, lambda *_: os._exit(1))
        faulthandler.enable()  # a worker that hangs is sent SIGABRT, and says where
        plan: Plan = self.app
        plan.last_word.listen()
        post = Post(
            listeners=_by_port(self.sockets),
            beat=self.notify,
            first_word=plan.first_word,
            last_word=plan.last_word,
        )
        try:
            module, _, function = plan.target.partition(":")
            getattr(importlib.import_module(module), function)(post)
        except Exception as fault:  # noqa: BLE001 - the top of the process; logged there
            self._explain(fault, post)

    def _explain(self, fault: Exception, post: Post) -> None:
        if not isinstance(fault, ConfigError):
            log.error("A worker could not start, or failed.", exc_info=fault)
        if post.first_word.take():
            print(f"parley: {fault}", file=sys.stderr, flush=True)
            sys.exit(Arbiter.WORKER_BOOT_ERROR)  # at the first start it ends them all
        log.error("A worker ends; another will try: %s", fault)
        time.sleep(RETRY_S)
        sys.exit(1)


class Supervisor(Arbiter):
    """gunicorn's arbiter, which here lets a worker go only when another one serves in its place."""

    def handle_int(self) -> None:
        """Ctrl+C ends in good order, too."""
        self.handle_term()

    def handle_usr2(self) -> None:
        """Not needed: SIGHUP loads new code as well."""
        log.warning("SIGUSR2 is not served; SIGHUP renews the workers.")

    def stop(self, graceful: bool = True) -> None:
        self.app.last_word.say()
        super().stop(graceful)

    def reload(self) -> None:
        """Have every worker replaced, with the code and the settings that are there now."""
        for worker in self.WORKERS.values():
            worker.renewed = True

    def manage_workers(self) -> None:
        """Keep the number of workers; one that retires goes when the others that are ready make up the number."""
        staff: list[Any] = sorted(self.WORKERS.values(), key=lambda worker: worker.age)
        # One after the other: a start takes a whole core for seconds, and a worker's clients go to the others.
        if not any(worker.retiring for worker in staff):
            for worker in [worker for worker in staff if worker.renewed][:1]:
                worker.retiring = True
        current = [worker for worker in staff if not worker.retiring]
        for worker in current[: max(0, len(current) - self.num_workers)]:
            worker.retiring = True
        for _ in range(self.num_workers - len(current)):
            self.spawn_worker()
        retiring = [worker for worker in staff if worker.retiring and not worker.leave_by]
        ready = [worker for worker in staff if not worker.retiring and worker.ready]
        for worker in retiring[: max(0, len(ready) + len(retiring) - self.num_workers)]:
            worker.leave_by = time.monotonic() + self.cfg.graceful_timeout
            self.kill_worker(worker.pid, signal.SIGTERM)

    def murder_workers(self) -> None:
        """Kill those that hang, and those that were told to go and did not."""
        super().murder_workers()
        for worker in list(self.WORKERS.values()):
            if worker.leave_by and time.monotonic() > worker.leave_by:
                log.warning("A worker did not end in time.")
                self.kill_worker(worker.pid, signal.SIGKILL)


class Log:
    """gunicorn's words in our log."""

    def __init__(self, cfg: Any) -> None:
        self.cfg = cfg
        self.debug, self.info, self.warning = log.debug, log.info, log.warning
        self.error, self.critical, self.exception = log.error, log.critical, log.exception

    def setup(self, cfg: Any) -> None:
        """Nothing: one configuration, made at the start."""

    def reopen_files(self) -> None:
        """Nothing: it writes to stderr."""

    def close_on_exec(self) -> None:
        """Nothing: no file is open."""


class Plan(BaseApplication):
    """What is to be kept, as the process before this one wrote it down."""

    def __init__(self, plan: dict[str, Any]) -> None:
        self._plan = plan
        self.target: str = plan["target"]
        self.first_word, self.last_word = FirstWord(), LastWord()
        super().__init__()

    def load_config(self) -> None:
        plan = self._plan
        options = {
            "bind": [f"fd://{descriptor}" for descriptor in plan["listeners"]],
            "workers": plan["workers"],
            "worker_class": SupervisedWorker,
            "logger_class": Log,
            "timeout": plan.get("silence_s", SILENCE_S),
            "graceful_timeout": round(plan["drain_s"] + LEAVING_S),
            "backlog": 1_024,
            "control_socket_disable": True,
            "worker_tmp_dir": "/dev/shm" if os.access("/dev/shm", os.W_OK) else None,  # noqa: S108 - gunicorn's names
        }
        for name, value in options.items():
            self.cfg.set(name, value)

    def run(self) -> None:
        Supervisor(self).run()


def become(
    target: str,
    *,
    listeners: list[socket.socket],
    workers: int,
    drain_s: float,
    log_level: str,
    env: Mapping[str, str],
) -> NoReturn:
    """Run the supervisor in place of this process.

    Args:
        target: `module:function`, called with a `Post` in each worker.
        env: Its environment; `PYTHONPATH` tells where the target is found.
    """
    for listener in listeners:
        listener.set_inheritable(True)
    plan = {
        "target": target,
        "listeners": [listener.fileno() for listener in listeners],
        "workers": workers,
        "drain_s": drain_s,
        "log_level": log_level,
    }
    sys.stdout.flush()
    sys.stderr.flush()
    command = [sys.executable, "-m", "sockets.serving.supervisor", json.dumps(plan)]
    os.execve(sys.executable, command, env)  # noqa: S606 - no shell is the point


def _by_port(sockets: list[Any]) -> dict[int, socket.socket]:
    plain = [socket.socket(fileno=one.sock.detach()) for one in sockets]
    return {int(one.getsockname()[1]): one for one in plain}


def main(arguments: list[str]) -> None:
    plan = json.loads(arguments[0])
    configure_logging(ServerSettings(log_level=plan["log_level"]))
    Plan(plan).run()


if __name__ == "__main__":
    main(sys.argv[1:])
