"""What one of several workers is given by the process that keeps them."""

from __future__ import annotations

import os
import select
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


class LastWord:
    """That all is to end: a pipe that becomes readable when its one writer says so, or is no more."""

    def __init__(self) -> None:
        self._heard_from, self._said_to = os.pipe()

    def say(self) -> None:
        os.write(self._said_to, b".")

    def listen(self) -> None:
        """From now on this process only hears it."""
        os.close(self._said_to)

    @property
    def was_said(self) -> bool:
        return bool(select.select([self._heard_from], [], [], 0)[0])


@dataclass(frozen=True, slots=True)
class Post:
    """A worker's place.

    Attributes:
        listeners: Sockets that listen already, by port; the first is the server's own. All workers share them.
        beat: To be called every second from the moment the worker serves; it is killed when it falls silent.
        first_word: Who takes it tells the user that the server is ready.
        last_word: Said where all workers end, not this one alone.
    """

    listeners: dict[int, socket.socket]
    beat: Callable[[], None]
    first_word: FirstWord
    last_word: LastWord
