"""A device that polls: each request on a connection of its own, so that most reach a worker that is not its own."""

from __future__ import annotations

import http.client
import random
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field

import gevent
import orjson

ROUNDS = 4
"""Questions a session asks before it is closed."""
_PATH = "/socket.io/?EIO=4&transport=polling"


class UnknownSession(Exception):
    """A request was answered 400."""


@dataclass(slots=True)
class Polled:
    """What all pollers met.

    Attributes:
        refused: Beginning, end and answer of each session that the server did not know.
        lost: Other ends of sessions, by what was met.
    """

    sessions: int = 0
    requests: int = 0
    refused: list[tuple[float, float, str]] = field(default_factory=list)
    lost: Counter[str] = field(default_factory=Counter)


class Poller:
    """`run` is its greenlet."""

    def __init__(self, host: str, port: int, polled: Polled, rng: random.Random) -> None:
        self._address = (host, port)
        self._polled = polled
        self._rng = rng
        self._token: str | None = None

    def run(self) -> None:
        """One short session after the other; until killed."""
        while True:
            began = time.monotonic()
            try:
                self._session()
                self._polled.sessions += 1
            except UnknownSession as fault:
                self._polled.refused.append((began, time.monotonic(), str(fault)))
            except (OSError, http.client.HTTPException, ValueError) as fault:
                self._polled.lost[type(fault).__name__] += 1
            gevent.sleep(self._rng.uniform(0.1, 0.6))

    def _session(self) -> None:
        opened = self._ask("GET", "")
        sid = orjson.loads(opened[1:])["sid"]
        self._ask("POST", sid, "40/text," + (orjson.dumps({"token": self._token}).decode() if self._token else ""))
        welcome = self._await(sid, '42/text,["welcome"')
        self._token = orjson.loads(welcome[len("42/text,") :])[1].get("token") or self._token
        for number in range(1, ROUNDS + 1):
            self._ask("POST", sid, f'42/text,{number}["sync"]')
            self._await(sid, f"43/text,{number}[")
        self._ask("POST", sid, "1")

    def _await(self, sid: str, beginning: str) -> str:
        """Poll until a packet begins so.

        Raises:
            ValueError: The server closed the session.
        """
        while True:
            for packet in self._poll(sid):
                if packet.startswith(beginning):
                    return packet
                if packet in ("1", "41/text,") or packet.startswith("44"):
                    raise ValueError("closed")
                if packet == "2":
                    self._ask("POST", sid, "3")

    def _poll(self, sid: str) -> Iterator[str]:
        yield from self._ask("GET", sid).split("\x1e")

    def _ask(self, method: str, sid: str, body: str | None = None) -> str:
        self._polled.requests += 1
        with closing(http.client.HTTPConnection(*self._address, timeout=30)) as connection:
            path = f"{_PATH}&sid={sid}" if sid else _PATH
            connection.request(method, path, body=body and body.encode(), headers={"Connection": "close"})
            answer = connection.getresponse()
            text = answer.read().decode()
            if answer.status == 400:
                raise UnknownSession(text[:120])
            if answer.status != 200:
                raise ValueError(f"HTTP {answer.status}")
            return text
