"""A process at the server's side for work that would hold the hub or its memory: one job at a time, gone when idle."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
from collections.abc import Generator
from contextlib import suppress
from pathlib import Path
from time import monotonic
from typing import Any

import gevent
from gevent.lock import BoundedSemaphore

import config
from services.errors import BY_CODE, ChatError, Internal, ServerBusy, TooLarge
from services.wire.side_process_main import LENGTHS, MAX_HEAD_BYTES

log = logging.getLogger(__name__)

ROOT = Path(__file__).resolve().parents[2]
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 4096

Reply = tuple[dict[str, Any], bytes]


class SideProcess:
    """Runs `work` of a module in a child: started when first asked, ended when nobody has asked for a while.

    Shared state: `_child` is touched only by the greenlet that holds `_turn`, and by the end of idleness, which
    looks whether anybody holds it. A job that is left or overdue costs the child its life; the next one gets another.
    """

    def __init__(
        self, module: str, *, memory_mb: int, idle_s: float = 60.0, job_s: float = 60.0, max_waiting: int = 32
    ) -> None:
        """Start nothing yet.

        Args:
            module: Has `work(request, data)`, which yields replies of the same shape; see `side_process_main`.
            memory_mb: What the child may allocate, where the system can hold it to that (Linux).
            job_s: A job that takes longer is ended.
            max_waiting: Jobs that may wait for their turn; beyond it they are refused.
        """
        self._module = module
        self._memory_mb = memory_mb
        self._idle_s = idle_s
        self._job_s = job_s
        self._max_waiting = max_waiting
        self._waiting = 0
        self._turn = BoundedSemaphore(1)
        self._child: subprocess.Popen[bytes] | None = None
        self._idle: gevent.Greenlet | None = None
        self._closed = False

    def run(self, request: dict[str, Any], data: bytes = b"") -> Generator[Reply, None, None]:
        """One job: its replies as they come. Closing the generator early ends the job.

        Raises:
            ServerBusy: Too many jobs wait, or the server is closing.
            TooLarge: The child ran out of the memory it may have.
            Internal: It died, or took too long.
            ChatError: What the module raised.
        """
        if self._waiting >= self._max_waiting or self._closed:
            raise ServerBusy("Too many pictures are being worked on; try again in a moment.", retry_after_s=2)
        self._waiting += 1
        try:
            self._turn.acquire()
        finally:
            self._waiting -= 1
        whole = False
        try:
            self._stay()
            child = self._child = self._child if self._child and self._child.poll() is None else self._start()
            until = monotonic() + self._job_s
            self._send(child, request, data, until)
            while (reply := self._receive(child, until)) is not None:
                yield reply
            whole = True
        except ChatError as error:
            whole = not isinstance(error, Internal)
            raise
        finally:
            if not whole:
                self.kill()
            self._idle = gevent.spawn_later(self._idle_s, self._leave)
            self._turn.release()

    def one(self, request: dict[str, Any], data: bytes = b"") -> Reply:
        """A job that has one reply. Raises as `run` does."""
        replies = list(self.run(request, data))
        if len(replies) != 1:
            raise Internal("The server failed; try again.")
        return replies[0]

    @property
    def resident_bytes(self) -> int:
        """What the child holds now; 0 while there is none, or where the system does not tell."""
        child = self._child
        if child is None or child.poll() is not None:
            return 0
        with suppress(OSError, ValueError, IndexError):
            return int(Path(f"/proc/{child.pid}/statm").read_text().split()[1]) * _PAGE_BYTES
        return 0

    @property
    def pid(self) -> int | None:
        """Of the child; None while there is none."""
        return self._child.pid if self._child is not None and self._child.poll() is None else None

    def kill(self) -> None:
        """End the child at once, whatever it does."""
        child, self._child = self._child, None
        if child is not None:
            with suppress(OSError):
                child.kill()
            _close_pipes(child)
            child.wait()

    def close(self) -> None:
        """End the child and take no more jobs."""
        self._closed = True
        self._stay()
        self.kill()

    def _start(self) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "services.wire.side_process_main", self._module, str(self._memory_mb)]
        return subprocess.Popen(
            command,
            cwd=ROOT,
            env={**config.bare_environment(), "PYTHONUTF8": "1", "PYTHONDONTWRITEBYTECODE": "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )

    def _send(self, child: subprocess.Popen[bytes], request: dict[str, Any], data: bytes, until: float) -> None:
        head = json.dumps(request).encode()
        assert child.stdin is not None
        with gevent.Timeout(max(until - monotonic(), 0.001), self._overdue()):
            try:
                child.stdin.write(LENGTHS.pack(len(head), len(data)) + head)
                child.stdin.write(data)
                child.stdin.flush()
            except OSError as error:
                raise self._died(child) from error

    def _receive(self, child: subprocess.Popen[bytes], until: float) -> Reply | None:
        with gevent.Timeout(max(until - monotonic(), 0.001), self._overdue()):
            head_length, data_length = LENGTHS.unpack(self._read(child, LENGTHS.size))
            if head_length > MAX_HEAD_BYTES:
                raise self._died(child)
            head: dict[str, Any] = json.loads(self._read(child, head_length))
            data = self._read(child, data_length)
        if head.get("end"):
            return None
        if "fault" in head:
            raise self._fault(head)
        return head, data

    def _read(self, child: subprocess.Popen[bytes], size: int) -> bytes:
        assert child.stdout is not None
        parts: list[bytes] = []
        while size > 0:
            part = child.stdout.read(size)
            if not part:
                raise self._died(child)
            parts.append(part)
            size -= len(part)
        return b"".join(parts)

    def _fault(self, head: dict[str, Any]) -> ChatError:
        if head["fault"] == "memory":
            self.kill()  # what it holds now the next job would miss
            return TooLarge("This picture needs more memory than this server gives to one.", field="picture")
        kind = BY_CODE.get(head["fault"], Internal)
        if kind is Internal:
            log.error("%s failed: %s", self._module, head["message"])
            return Internal("The server failed; try again.")
        return kind(head["message"], field=head.get("field"))

    def _died(self, child: subprocess.Popen[bytes]) -> ChatError:
        with gevent.Timeout(1, False):
            child.wait()
        log.error("%s ended with %s in the middle of a job", self._module, child.poll())
        return Internal("The server failed at this picture.")

    def _overdue(self) -> ChatError:
        return Internal("The server took too long over this picture.")

    def _stay(self) -> None:
        if self._idle is not None:
            self._idle.kill()
            self._idle = None

    def _leave(self) -> None:
        """Nobody has asked for `idle_s`. The end of its input is a child's end."""
        if not self._turn.locked():
            self._idle = None
            self.kill()


def _close_pipes(child: subprocess.Popen[bytes]) -> None:
    for pipe in (child.stdin, child.stdout):
        if pipe is not None:
            with suppress(OSError):
                pipe.close()
