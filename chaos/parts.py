"""The parts of a run as child processes: Redis, MariaDB, vendors, and the server with its workers."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pymysql
import redis

from benchmarks.processes import ROOT, PeerFailed, free_port
from simulators.openai import KEY

START_S = 60.0
_KEPT = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "VIRTUAL_ENV")


class Part:
    """One child process with a log of its own; it may be stopped and started again."""

    def __init__(self, name: str, command: Sequence[str], folder: Path, env: Mapping[str, str] | None = None) -> None:
        self.name = name
        self.log = folder / f"{name}.log"
        self._command = list(command)
        self._env = {key: value for key, value in os.environ.items() if key in _KEPT} | dict(env or {})
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def runs(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self, is_up: Callable[[], bool]) -> None:
        """Start, and wait until `is_up`.

        Raises:
            PeerFailed: It ended, or took too long; the message has the end of its log.
        """
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(self._command, cwd=ROOT, env=self._env, stdout=log, stderr=log)
        limit = time.monotonic() + START_S
        while not is_up():
            if not self.runs or time.monotonic() > limit:
                end = self.log.read_text(errors="replace")[-2000:]
                self.stop()
                raise PeerFailed(f"{self.name} did not start:\n{end}")
            time.sleep(0.05)

    def stop(self, limit_s: float = 30.0) -> int:
        """SIGTERM; the exit code, which is that of SIGKILL when it took longer than the limit."""
        assert self._process is not None
        if self.runs:
            self._process.terminate()
        try:
            return self._process.wait(limit_s)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return self._process.wait()


class Redis(Part):
    """A Redis on a port of its own.

    Args:
        keeps: Write a file, so that a restart finds everything again.
    """

    def __init__(self, folder: Path, *, keeps: bool) -> None:
        self._port = free_port()
        data = folder / "redis"
        data.mkdir()
        files = ["--appendonly", "yes"] if keeps else ["--appendonly", "no"]
        command = ["--port", str(self._port), "--bind", "127.0.0.1", "--dir", str(data), "--save", "", *files]
        super().__init__("redis", [_program("redis-server"), *command], folder)
        self.url = f"redis://127.0.0.1:{self._port}/0"

    def up(self) -> None:
        self.start(self._answers)

    def _answers(self) -> bool:
        try:
            with redis.Redis.from_url(self.url, socket_timeout=1) as client:
                return bool(client.ping())
        except redis.RedisError:
            return False


class MariaDB(Part):
    """An empty database on a server of its own."""

    def __init__(self, folder: Path) -> None:
        self._port = free_port()
        self._data = folder / "mariadb"
        self._as_root = ["--user=root"] if os.geteuid() == 0 else []
        command = [
            _program("mariadbd"), "--no-defaults", f"--datadir={self._data}", f"--port={self._port}",
            "--bind-address=127.0.0.1", f"--socket={folder / 'mariadb.socket'}", "--innodb-buffer-pool-size=64M",
            "--innodb-log-file-size=16M", "--innodb-flush-log-at-trx-commit=0", "--skip-log-bin",
            "--performance-schema=OFF", *self._as_root,
        ]  # fmt: skip
        super().__init__("mariadb", command, folder)
        self.url = f"mysql+pymysql://root@127.0.0.1:{self._port}/parley"

    def up(self) -> None:
        with self.log.open("ab") as log:
            subprocess.run(
                [_program("mariadb-install-db"), "--no-defaults", f"--datadir={self._data}",
                 "--auth-root-authentication-method=normal", "--skip-test-db", *self._as_root],
                check=True, stdout=log, stderr=log,
            )  # fmt: skip
        self.start(self._answers)
        with pymysql.connect(host="127.0.0.1", port=self._port, user="root") as connection:
            connection.cursor().execute("CREATE DATABASE parley CHARACTER SET utf8mb4")

    def _answers(self) -> bool:
        try:
            pymysql.connect(host="127.0.0.1", port=self._port, user="root").close()
        except pymysql.MySQLError:
            return False
        return True


class Vendors(Part):
    """The simulated vendors, and the settings that lead to them."""

    def __init__(self, folder: Path) -> None:
        self._port = free_port()
        self.calls = folder / "vendor-calls.jsonl"
        command = [sys.executable, "-m", "chaos.vendor", str(self._port), str(self.calls)]
        super().__init__("vendor", command, folder)
        url = f"http://127.0.0.1:{self._port}"
        self.env = {
            "DEEPSEEK_API_KEY": KEY,
            "DEEPSEEK_BASE_URL": f"{url}/deepseek",
            "OPENAI_API_KEY": KEY,
            "OPENAI_BASE_URL": f"{url}/openai/v1",
        }

    def up(self) -> None:
        self.start(lambda: self.calls.exists() and _listens(self._port))


class Server(Part):
    """The server under test: a supervisor and its workers on one port."""

    def __init__(self, folder: Path, *, workers: int, env: Mapping[str, str]) -> None:
        self.port = free_port()
        settings = {
            "DATA_DIR": str(folder / "data"),
            "PORT": str(self.port),
            "WORKERS": str(workers),
            "RATE_LIMIT_ENABLED": "false",  # everybody here comes from one address
            **env,
        }
        super().__init__("server", [sys.executable, "server.py", "serve"], folder, settings)

    def up(self) -> None:
        self.start(lambda: b"Parley is ready: " in self.log.read_bytes())

    def workers(self) -> list[int]:
        """The worker processes there are now, the oldest first; without a supervisor the server itself."""
        return sorted(children(self.pid)) or [self.pid]

    def reload(self) -> None:
        """Have every worker replaced, while the others serve."""
        os.kill(self.pid, signal.SIGHUP)


def children(pid: int) -> list[int]:
    """Living child processes."""
    found: list[int] = []
    try:
        for thread in Path(f"/proc/{pid}/task").iterdir():
            found += map(int, (thread / "children").read_text().split())
    except OSError:
        return []
    return found


def _listens(port: int) -> bool:
    import socket

    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _program(name: str) -> str:
    found = shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
    if found is None:
        raise PeerFailed(f"{name} is missing: install Debian's redis-server and mariadb-server.")
    return found
