"""A program that a test owns as a child process: it stops, dies, hangs and comes back as the test says."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

START_S = 60


class OwnedProcess:
    """One program on a port of its own, which it keeps through every restart. As a context manager: started, ended."""

    def __init__(self, folder: Path, port: int | None = None) -> None:
        self.folder = folder
        self.port = port or free_port()
        self.log = folder / "log"
        self._process: subprocess.Popen[bytes] | None = None
        folder.mkdir(parents=True, exist_ok=True)

    def command(self) -> Sequence[str]:
        raise NotImplementedError

    def answers(self) -> bool:
        """Whether it takes requests."""
        raise NotImplementedError

    def start(self) -> Self:
        """Start it, and wait until it answers."""
        self.launch()
        wait_until(self.answers, lambda: f"{self.command()[0]} did not start:\n{self._last_words()}", self._is_alive)
        return self

    def launch(self) -> None:
        """Start it without waiting."""
        assert not self._is_alive()
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(list(self.command()), cwd=self.folder, stdout=log, stderr=log)

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def stop(self) -> None:
        """Let it end in good order."""
        self.resume()
        self._send(signal.SIGTERM)
        self._end()

    def kill(self) -> None:
        """It ends at once, without a word; a paused one too."""
        self._send(signal.SIGKILL)
        self._end()

    def pause(self) -> None:
        """It hangs: connections are taken by the kernel, and nothing answers."""
        self._send(signal.SIGSTOP)

    def resume(self) -> None:
        self._send(signal.SIGCONT)

    def restart(self) -> Self:
        self.stop()
        return self.start()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._is_alive():
            self.kill()

    def _is_alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def _send(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def _end(self) -> None:
        assert self._process is not None
        try:
            self._process.wait(START_S)
        finally:
            self._process.kill()

    def _last_words(self) -> str:
        return self.log.read_text(errors="replace")[-2000:]


def wait_until(
    holds: Callable[[], bool], else_say: Callable[[], str], may_go_on: Callable[[], bool] = lambda: True
) -> None:
    """Ask until it holds, for a program that sends no event; `START_S` at most."""
    deadline = time.monotonic() + START_S
    while not holds():
        if not may_go_on() or time.monotonic() > deadline:
            raise AssertionError(else_say())
        time.sleep(0.05)


def free_port(highest: int = 65535) -> int:
    """A TCP port of the loopback that nobody has at the moment."""
    while True:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = int(free.getsockname()[1])
        if port <= highest:
            return port


def program(name: str, package: str) -> str:
    """The path of a program.

    Raises:
        AssertionError: It is not installed; the message names Debian's package.
    """
    found = shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
    assert found is not None, f"{name} is missing: install the Debian package {package}."
    return found
