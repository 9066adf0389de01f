"""One connection to the server: Socket.IO over WebSocket framed by hand, because hundreds of them must cost little."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from typing import Any

import orjson
from gevent.lock import RLock

from benchmarks.socketio_frames import FrameReader, PeerBroke, text_frame, upgrade_request

OPEN_S = 10.0
ANSWER_S = 15.0
"""An acknowledgement that takes longer is not waited for: the line is given up."""

Answered = Callable[[dict[str, Any]], None]


class LineLost(Exception):
    """The connection is over."""


class Refused(Exception):
    """The server answered, and said no."""

    def __init__(self, answer: str, retry_after_s: float = 0.0) -> None:
        super().__init__(answer)
        self.retry_after_s = retry_after_s


class Line:
    """A joined connection to `/text`. One greenlet reads; any may send.

    Attributes:
        welcome: What the namespace said first.
        worker: Who serves it, as the session's id tells; the whole id where it tells nobody.
    """

    def __init__(self, host: str, port: int, token: str | None) -> None:
        self.welcome: dict[str, Any] = {}
        self.sid = self.worker = ""
        self._sending = RLock()
        self._reader = FrameReader()
        self._waiting: dict[int, tuple[float, Answered]] = {}
        self._calls = 0
        self._silence_s = 45.0
        try:
            self._socket = socket.create_connection((host, port), timeout=OPEN_S)
        except OSError as fault:
            raise LineLost(f"connect: {fault}") from None
        try:
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._join(upgrade_request(host, port), token)
        except BaseException:
            self._socket.close()
            raise

    def call(self, event: str, body: dict[str, Any], answered: Answered) -> None:
        """Send an event; `answered` gets its acknowledgement, in the reading greenlet.

        Raises:
            LineLost: It cannot be sent.
        """
        self._calls += 1
        self._waiting[self._calls] = (time.monotonic() + ANSWER_S, answered)
        self._send(f"42/text,{self._calls}" + orjson.dumps([event, body]).decode())

    def read(self, on_event: Callable[[str, dict[str, Any]], None]) -> None:
        """Hand on every event until the line is lost.

        Raises:
            LineLost: Always, in the end.
            PeerBroke: The server said what no server may.
        """
        self._socket.settimeout(1.0)
        heard = time.monotonic()
        while True:
            try:
                data = self._socket.recv(65536)
            except TimeoutError:
                now = time.monotonic()
                if any(limit < now for limit, _ in self._waiting.values()):
                    raise LineLost("an acknowledgement did not come") from None
                if now - heard > self._silence_s:
                    raise LineLost("no ping came") from None
                continue
            except OSError as fault:
                raise LineLost(str(fault)) from None
            if not data:
                raise LineLost("closed")
            heard = time.monotonic()
            for payload in _frames(self._reader, data):
                self._packet(payload, on_event)

    def close(self) -> None:
        self._socket.close()

    def _send(self, packet: str) -> None:
        try:
            with self._sending:  # a full kernel buffer would let another greenlet in between two halves
                self._socket.sendall(text_frame(packet))
        except OSError as fault:
            raise LineLost(str(fault)) from None

    def _join(self, upgrade: bytes, token: str | None) -> None:
        """From the upgrade to the welcome."""
        try:
            self._socket.sendall(upgrade)
            head = self._head()
        except OSError as fault:
            raise LineLost(f"upgrade: {fault}") from None
        status, _, rest = head
        if status != 101:
            raise Refused(f"HTTP {status} {rest[:120]!r}")
        data = rest
        while not self.welcome:
            for payload in _frames(self._reader, data):
                self._joining(payload, token)
            if self.welcome:
                return
            try:
                data = self._socket.recv(65536)
            except OSError as fault:
                raise LineLost(f"join: {fault}") from None
            if not data:
                raise LineLost("closed while joining")

    def _head(self) -> tuple[int, bytes, bytes]:
        data = b""
        while b"\r\n\r\n" not in data:
            more = self._socket.recv(65536)
            if not more:
                raise LineLost("closed while upgrading")
            data += more
        head, _, rest = data.partition(b"\r\n\r\n")
        return int(head.split(b" ", 2)[1]), head, rest

    def _joining(self, payload: bytes, token: str | None) -> None:
        if payload.startswith(b"0"):
            opened = orjson.loads(payload[1:])
            self.sid = opened["sid"]
            self.worker = worker_of(self.sid)
            self._silence_s = (opened["pingInterval"] + opened["pingTimeout"]) / 1000
            self._send("40/text," + (orjson.dumps({"token": token}).decode() if token else ""))
        elif payload.startswith(b"44/text,"):
            error = orjson.loads(payload[len(b"44/text,") :])
            data = error.get("data") or {}
            raise Refused(data.get("code") or str(error), data.get("retry_after_s") or 0.0)
        else:
            self._packet(payload, self._first_event)

    def _first_event(self, event: str, body: dict[str, Any]) -> None:
        if event == "welcome":
            self.welcome = body

    def _packet(self, payload: bytes, on_event: Callable[[str, dict[str, Any]], None]) -> None:
        if payload.startswith(b"42/text,"):
            event, body = orjson.loads(payload[len(b"42/text,") :])
            on_event(event, body)
        elif payload.startswith(b"43/text,"):
            number, _, rest = payload[len(b"43/text,") :].partition(b"[")
            _, answered = self._waiting.pop(int(number), (0.0, _nobody))
            answered(orjson.loads(b"[" + rest)[0])
        elif payload == b"2":
            self._send("3")
        elif payload.startswith((b"41", b"1")):
            raise LineLost("the server said goodbye")
        elif not payload.startswith((b"40/text,", b"6")):
            raise PeerBroke(f"unexpected packet {payload[:200]!r}")


def worker_of(sid: str) -> str:
    """The worker's name in a session's id."""
    name, dot, _ = sid.partition(".")
    return name if dot else sid


def _nobody(_: dict[str, Any]) -> None:
    """Nobody waits for this acknowledgement."""


def _frames(reader: FrameReader, data: bytes) -> list[bytes]:
    try:
        return list(reader.feed(data))
    except PeerBroke as fault:
        if "frame 0x88" in str(fault):
            raise LineLost("closed by a frame") from None
        raise
