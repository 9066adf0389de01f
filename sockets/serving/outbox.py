"""What waits to be written to one socket."""

from __future__ import annotations

import socket
from collections.abc import Callable
from time import monotonic
from typing import Any

_WRITABLE = 2


def _nothing(*_: object) -> None:
    pass


class Outbox:
    """Writes at once while the peer keeps up, keeps a bounded rest when it does not.

    No greenlet: the hub drains the rest when the socket takes more. Nothing here yields.

    Args:
        sock: A non-blocking socket.
        on_lost: Called once when writing is over, with the reason; empty when the peer is gone.
        on_drained: Called when little enough waits again (under a quarter of the bound).
    """

    __slots__ = (
        "_limit",
        "_loop",
        "_on_drained",
        "_on_lost",
        "_pending",
        "_progress_at",
        "_send",
        "_sock",
        "_stall_s",
        "_timer",
        "_watcher",
    )

    def __init__(
        self,
        sock: socket.socket,
        loop: Any,
        *,
        max_pending_bytes: int,
        stall_s: float,
        on_lost: Callable[[str], None],
        on_drained: Callable[[], None],
    ) -> None:
        self._sock = sock
        self._send = sock.send
        self._loop = loop
        self._limit = max_pending_bytes
        self._stall_s = stall_s
        self._on_lost = on_lost
        self._on_drained = on_drained
        self._pending = bytearray()
        self._watcher: Any = None
        self._timer: Any = None
        self._progress_at = 0.0

    @property
    def pending_bytes(self) -> int:
        """Bytes accepted and not yet in the kernel's hands."""
        return len(self._pending)

    @property
    def is_low(self) -> bool:
        """Whether a viewer that was refused may go on."""
        return len(self._pending) * 4 <= self._limit

    def offer(self, data: bytes) -> bool:
        """Send `data`, or keep it to be sent; False when too much waits already or the peer is gone."""
        if self._pending:
            if len(self._pending) + len(data) > self._limit:
                return False
            self._pending += data
            return True
        try:
            sent = self._send(data)
        except BlockingIOError:
            sent = 0
        except OSError:
            self._on_lost("")
            return False
        if sent != len(data):
            self._pending += data[sent:]
            self._wait()
        return True

    def force(self, data: bytes) -> None:
        """Like `offer`, but past the bound: for the one close frame that ends the stream."""
        if self._pending:
            self._pending += data
        else:
            self.offer(data)

    def close(self) -> None:
        """Let go of the socket and of what waits; later offers are refused."""
        self._pending = bytearray()
        self._on_lost = self._on_drained = _nothing
        self._rest()

    def _wait(self) -> None:
        self._progress_at = monotonic()
        if self._watcher is None:
            self._watcher = self._loop.io(self._sock.fileno(), _WRITABLE)
            self._watcher.start(self._drain)
            self._timer = self._loop.timer(self._stall_s)
            self._timer.start(self._check_progress)

    def _rest(self) -> None:
        if self._watcher is not None:
            for watcher in (self._watcher, self._timer):
                watcher.stop()
                watcher.close()
            self._watcher = self._timer = None

    def _drain(self) -> None:
        try:
            sent = self._send(self._pending)
        except BlockingIOError:
            return
        except OSError:
            self._on_lost("")
            return
        was_low = self.is_low
        del self._pending[:sent]
        self._progress_at = monotonic()
        if not self._pending:
            self._rest()
        if self.is_low and (not was_low or not self._pending):
            self._on_drained()

    def _check_progress(self) -> None:
        left = self._progress_at + self._stall_s - monotonic()
        if left <= 0:
            self._on_lost("peer takes nothing")
            return
        self._timer.stop()
        self._timer.close()
        self._timer = self._loop.timer(left)
        self._timer.start(self._check_progress)
