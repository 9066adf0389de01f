"""`server.py` as a child process, started, stopped and killed by tests."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import gevent

ROOT = Path(__file__).parent.parent
START_S = 30


class ServerProcess:
    """One server on a port of its own; its data outlives it, so that it can be started again."""

    def __init__(self, data_dir: Path, **env: str) -> None:
        self.env = {"DATA_DIR": str(data_dir), "PORT": "0", "DATABASE_URL": "", "REDIS_URL": "", **env}
        self.log = data_dir.parent / f"{data_dir.name}.log"
        self.address = ""
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> ServerProcess:
        """Start and wait until it says that it is ready.

        Raises:
            AssertionError: It ended or said nothing in time; the message has its log.
        """
        with self.log.open("a") as log:
            self._process = subprocess.Popen(
                [sys.executable, "server.py", "serve"],
                cwd=ROOT,
                env={**_bare_environment(), **self.env},
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        assert self._process.stdout is not None
        with gevent.Timeout(START_S, AssertionError("The server did not start in time.")):
            for line in self._process.stdout:
                if line.startswith("Parley is ready: "):
                    self.address = line.removeprefix("Parley is ready: ").strip()
                    self.env["PORT"] = self.address.rpartition(":")[2]
                    return self
        raise AssertionError(f"The server ended:\n{self.log.read_text()[-3000:]}")

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def stop(self) -> int:
        """SIGTERM; the exit code."""
        assert self._process is not None
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
        return self._wait()

    def kill(self) -> None:
        """SIGKILL: it ends nothing and says nothing."""
        assert self._process is not None
        self._process.kill()
        self._wait()

    def _wait(self) -> int:
        assert self._process is not None
        try:
            return self._process.wait(timeout=START_S)
        finally:
            self._process.kill()
            if self._process.stdout is not None:
                self._process.stdout.close()


def _bare_environment() -> dict[str, str]:
    """This process's environment without any setting of Parley's."""
    kept = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "SYSTEMROOT", "VIRTUAL_ENV")
    return {name: value for name, value in os.environ.items() if name in kept}
