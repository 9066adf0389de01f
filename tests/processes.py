"""`server.py` as a child process, started, stopped and killed by tests."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import gevent

from sockets.serving.affinity import meeting_place

ROOT = Path(__file__).parent.parent
START_S = 30


class ServerProcess:
    """One server on a port of its own; its data outlives it, so that it can be started again.

    With `WORKERS="4", REDIS_URL=...` it is several workers, and `start` waits until all of them serve.
    """

    def __init__(self, data_dir: Path, **env: str) -> None:
        self.env = {"DATA_DIR": str(data_dir), "PORT": "0", "DATABASE_URL": "", "REDIS_URL": "", **env}
        self.log = data_dir.parent / f"{data_dir.name}.log"
        self.address = ""
        self._process: subprocess.Popen[str] | None = None

    def start(self, *command: str, pass_fds: Sequence[int] = ()) -> ServerProcess:
        """Start and wait until it says that it is ready.

        Args:
            command: What to run in place of `python server.py serve`.

        Raises:
            AssertionError: It ended or said nothing in time; the message has its log.
        """
        with self.log.open("a") as log:
            self._process = subprocess.Popen(
                command or [sys.executable, "server.py", "serve"],
                cwd=ROOT,
                pass_fds=pass_fds,
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
                    self.await_workers()
                    return self
        raise AssertionError(f"The server ended:\n{self._last_words()}")

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def workers(self) -> int:
        """How many there are to be."""
        return int(self.env.get("WORKERS", "1"))

    def worker_pids(self) -> list[int]:
        """The workers there are, ready or not, oldest first; with one worker it is the server itself."""
        if self.workers == 1:
            return [self.pid]
        found = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()
        return sorted(int(pid) for pid in found)

    def worker_names(self) -> set[str]:
        """The names of the workers that can be reached, as their metrics and logs call them."""
        seen = set()
        for path in meeting_place(Path(self.env["DATA_DIR"])).glob("*.sock"):
            with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as probe:
                probe.connect(str(path))
                seen.add(path.stem)
        return seen

    def await_workers(self) -> None:
        """Wait until as many workers serve as there are to be."""
        if self.workers == 1:
            return
        with gevent.Timeout(START_S, AssertionError(f"Not all workers came up:\n{self._last_words()}")):
            while len(self.worker_names()) < self.workers:
                gevent.sleep(0.05)

    def kill_worker(self, pid: int) -> None:
        """SIGKILL one worker, and wait until another has its place."""
        os.kill(pid, signal.SIGKILL)
        with gevent.Timeout(START_S, AssertionError(f"No worker took the place:\n{self._last_words()}")):
            while pid in self.worker_pids() or len(self.worker_pids()) < self.workers:
                gevent.sleep(0.05)
        self.await_workers()

    def renew(self) -> None:
        """SIGHUP, and wait until every worker is another one and the old ones are gone."""
        old = set(self.worker_pids())
        self._signal(signal.SIGHUP)
        with gevent.Timeout(2 * START_S, AssertionError(f"The workers were not renewed:\n{self._last_words()}")):
            while old & set(self.worker_pids()):
                gevent.sleep(0.05)
        self.await_workers()

    def stop(self) -> int:
        """SIGTERM; the exit code."""
        self._signal(signal.SIGTERM)
        return self._wait()

    def kill(self) -> None:
        """SIGKILL: it ends nothing and says nothing."""
        assert self._process is not None
        workers = self.worker_pids() if self._process.poll() is None else []
        self._process.kill()
        for pid in workers:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._wait()

    def _signal(self, number: int) -> None:
        assert self._process is not None
        if self._process.poll() is None:
            self._process.send_signal(number)

    def _last_words(self) -> str:
        return self.log.read_text()[-3000:]

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
