"""What one of several workers is given by the process that keeps them."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from dataclasses import dataclass


class FirstWord:
    """The right to speak first, shared by processes: one byte in a pipe. One says that it is ready, or why not."""

    def __init__(self) -> None:
        self._taken_from, put_into = os.pipe()
        os.set_blocking(self._taken_from, False)
        os.write(put_into, b".")
        self._keeps_open = put_into

    def take(self) -> bool:
        """Whether it is the caller's. Never waits."""
        try:
            return bool(os.read(self._taken_from, 1))
        except BlockingIOError:
            return False


@dataclass(frozen=True, slots=True)
class Post:
    """A worker's place.

    Attributes:
        listeners: Sockets that listen already, by port; the first is the server's own. All workers share them.
        beat: To be called every second from the moment the worker serves; it is killed when it falls silent.
        keeper_lives: Whether the process that keeps the workers is still there.
    """

    listeners: dict[int, socket.socket]
    beat: Callable[[], None]
    keeper_lives: Callable[[], bool]
    first_word: FirstWord
