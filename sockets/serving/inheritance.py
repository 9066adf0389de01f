"""Sockets that systemd holds and hands to the process it starts (sd_listen_fds)."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping

_FIRST = 3


def inherited(env: Mapping[str, str]) -> dict[int, socket.socket]:
    """What this process was given to listen on, by port, in the order of the unit; usually nothing."""
    if env.get("LISTEN_PID") != str(os.getpid()):
        return {}
    given = [socket.socket(fileno=number) for number in range(_FIRST, _FIRST + int(env.get("LISTEN_FDS", "0")))]
    return {int(one.getsockname()[1]): one for one in given}


def without_inheritance(env: Mapping[str, str]) -> dict[str, str]:
    """The environment for a process that is told in another way."""
    return {name: value for name, value in env.items() if not name.startswith("LISTEN_")}
