"""Brings a request to the machine that holds its session: as bytes, since a connection cannot change machines."""

from __future__ import annotations

import logging
import re
import socket
from contextlib import suppress
from time import monotonic
from typing import Any
from urllib.parse import urlsplit

import gevent
import redis

from config import ConfigError
from services.wire.redis_link import RedisLink

log = logging.getLogger("parley.serving")

RELAYED = "X-Parley-Relayed"
"""Marks a request that came from another machine: it goes no further."""
TOLD_EVERY_S, KEPT_S = 10, 30
KNOWN_S = 5.0
"""How long an answer of Redis is believed."""
CONNECT_S = 2.0
IDLE_S = 75.0
"""Nothing that clients and server say to each other leaves a connection silent for so long."""
_MOST_KNOWN = 1_000
_NAME = re.compile(r"[0-9a-f]{8}")


class Machines:
    """Where the machines are, as each of their workers told Redis. Every method but `close` yields."""

    def __init__(self, link: RedisLink, own: str, address: str) -> None:
        """
        Args:
            own: This machine's part of its workers' names.
            address: `host:port` at which the others reach its server.

        Raises:
            ConfigError: `address` is not of that form.
        """
        parsed_address(address)
        self._link = link
        self._own = own
        self._address = address
        self._known: dict[str, tuple[float, str]] = {}
        self._telling = gevent.spawn(self._tell)

    def close(self) -> None:
        self._telling.kill(block=False)

    def _tell(self) -> None:
        while True:
            with suppress(redis.RedisError):  # told again soon; readiness speaks of Redis
                self._link.ask(lambda client: client.set(self._key(self._own), self._address, ex=KEPT_S))
            gevent.sleep(TOLD_EVERY_S)

    def address_of(self, sid: str) -> str:
        """Where a session of another machine is; empty for one of this machine, or of none that is known."""
        machine = sid.partition(".")[0].partition("-")[0]
        if machine == self._own or not _NAME.fullmatch(machine):
            return ""
        until, address = self._known.get(machine, (0.0, ""))
        if monotonic() < until:
            return address
        try:
            found = self._link.ask(lambda client: client.get(self._key(machine)))
        except redis.RedisError:
            return ""
        if len(self._known) >= _MOST_KNOWN:
            self._known.clear()
        address = found.decode() if found else ""
        self._known[machine] = monotonic() + KNOWN_S, address
        return address

    def _key(self, machine: str) -> str:
        return self._link.key(self._link.partition("machines"), "machine", machine)


def parsed_address(written: str) -> tuple[str, int]:
    """Host and port.

    Raises:
        ConfigError: It is not `host:port`.
    """
    with suppress(ValueError):
        parts = urlsplit(f"//{written}")
        if parts.hostname and parts.port and parts.netloc == written and parts.username is None:
            return parts.hostname, parts.port
    raise ConfigError(
        "MACHINE_ADDRESS must be host:port, such as 10.0.0.5:5000.",
        "MACHINE_ADDRESS 应为 主机:端口，如 10.0.0.5:5000。",
    )


def relay(client: Any, request_line: str, fields: list[tuple[str, str]], read: bytes, address: str) -> bool:
    """Have another machine answer one request, or speak the WebSocket that begins with it, until either side ends.

    Args:
        client: Its connection; the caller closes it.
        fields: The request's headers.
        read: What came after them.

    Returns:
        False when the machine cannot be reached; nothing was said to the client then.
    """
    is_websocket = any(name.lower() == "upgrade" for name, _ in fields)
    kept = [(name, value) for name, value in fields if is_websocket or name.lower() not in ("connection", "keep-alive")]
    # One request a connection, or one that goes to and fro between two machines would build a chain without end.
    kept += [("X-Forwarded-For", client.getpeername()[0]), (RELAYED, "1")]
    if not is_websocket:
        kept.append(("Connection", "close"))
    head = "\r\n".join([request_line, *(f"{name}: {value}" for name, value in kept), "", ""]).encode("latin-1")
    try:
        other = socket.create_connection(parsed_address(address), timeout=CONNECT_S)
    except (OSError, ConfigError):
        return False
    with other:
        there = gevent.spawn(_copy, client, other)
        with suppress(OSError):
            other.settimeout(IDLE_S)
            other.sendall(head + read)
            _copy(other, client)
        there.kill()
    return True


def _copy(source: Any, target: Any) -> None:
    """Pass on what comes until it ends; then nobody needs to wait for the other direction."""
    source.settimeout(IDLE_S)
    try:
        while data := source.recv(65_536):
            target.sendall(data)
    except OSError:
        pass
    finally:
        with suppress(OSError):
            target.shutdown(socket.SHUT_RDWR)
