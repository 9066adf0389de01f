"""HTTP/1.1 for streams: one connection per call, bodies given as they arrive, hang-ups at once."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Callable, Mapping
from contextlib import suppress
from types import TracebackType
from typing import Any
from urllib.parse import urlsplit

import gevent

from services.clock import Clock, SystemClock
from services.errors import VendorOverloaded, VendorRefused
from services.wire.chunked import ChunkedBody, ChunkedError
from services.wire.connection import Connection
from services.wire.dial import DialSettings, Origin, check_proxies, dial, origin_of, proxy_authorization

log = logging.getLogger(__name__)

MAX_HEAD_BYTES = 65_536
MAX_BODY_BYTES = 64 * 1_048_576
IDLE_PER_ORIGIN = 16
IDLE_S = 20.0  # shorter than the 30 to 75 s after which servers drop a silent connection

_BROKE_OFF = "The connection to the model's provider broke off."


class Response:
    """An answer whose body is read while it arrives. Use it with `with`: leaving early hangs up.

    Attributes:
        status: The final status; 1xx are passed over.
        headers: By lower-case name; of repeated ones the last counts.
    """

    def __init__(self, client: HttpClient, connection: Connection) -> None:
        self._client = client
        self._connection: Connection | None = connection
        self._taken = 0
        self.status, self.headers, self._ahead, self._keeps = _read_head(connection)
        coding = self.headers.get("transfer-encoding", "").lower()
        self._chunked = ChunkedBody() if coding.split(",")[-1].strip() == "chunked" else None
        self._left: int | None = None  # bytes to come; None when the end of the connection ends the body
        if self.status in (204, 304):
            self._left, self._chunked = 0, None
        elif self._chunked is None:
            length = self.headers.get("content-length", "")
            if length and not coding:
                if not (length.isascii() and length.isdigit()):
                    raise VendorOverloaded("The model's provider sent an answer that cannot be read.")
                self._left = int(length)
        self.is_complete = self._left == 0

    def read(self) -> bytes:
        """The body's next bytes, as they came; b"" at its end.

        Raises:
            VendorOverloaded: The connection ended before the body did, or the body is too long or malformed.
        """
        while not self.is_complete:
            data = self._receive()
            chunked = self._chunked
            if chunked is not None:
                if not data:
                    raise VendorOverloaded(_BROKE_OFF)
                try:
                    data = chunked.feed(data)
                except ChunkedError as error:
                    raise VendorOverloaded("The model's provider sent an answer that cannot be read.") from error
                if chunked.done:
                    self.is_complete = True
                    self._keeps = self._keeps and not chunked.rest
            elif self._left is None:
                self._keeps = False
                self.is_complete = not data
            elif not data:
                raise VendorOverloaded(_BROKE_OFF)
            else:
                if len(data) > self._left:
                    data, self._keeps = data[: self._left], False
                self._left -= len(data)
                self.is_complete = not self._left
            if data:
                return data
        return b""

    def read_up_to(self, limit: int) -> bytes:
        """The body, cut at `limit` bytes; what the network fails to bring is left out."""
        parts: list[bytes] = []
        size = 0
        with suppress(VendorOverloaded):  # of an error's text a part is better than nothing
            while size < limit and (data := self.read()):
                parts.append(data)
                size += len(data)
        return b"".join(parts)[:limit]

    def drain(self, limit_s: float) -> None:
        """Read the little that ends a body whose content is known to be over, so that its connection lives on."""
        if self._keeps and (self._chunked is not None or self._left is not None):
            with gevent.Timeout(limit_s, False), suppress(VendorOverloaded):
                while self.read():
                    pass

    def close(self) -> None:
        """Give the connection back when the body is complete, else hang up. Never yields."""
        connection, self._connection = self._connection, None
        if connection is None:
            return
        if self.is_complete and self._keeps:
            self._client._rest(connection)
        else:
            connection.close()

    def __enter__(self) -> Response:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _receive(self) -> bytes:
        if self._ahead:
            data, self._ahead = self._ahead, b""
        else:
            if self._connection is None:
                raise VendorOverloaded(_BROKE_OFF)
            try:
                data = self._connection.receive()
            except OSError as error:
                raise VendorOverloaded(_BROKE_OFF) from error
        self._taken += len(data)
        if self._taken > MAX_BODY_BYTES:
            raise VendorOverloaded("The model's provider sent more than this server accepts.")
        return data


class HttpClient:
    """Calls vendors; keeps a few idle connections to each. Any number of greenlets may call at once."""

    def __init__(
        self, settings: DialSettings, clock: Clock | None = None, *, admits: Callable[[str], bool] | None = None
    ) -> None:
        """`admits` is asked about every address before it is connected to; None for vendors the operator named."""
        check_proxies(settings)
        self._admits = admits
        self._settings = settings
        self._clock = clock or SystemClock()
        self._idle: dict[Origin, list[tuple[float, Connection]]] = defaultdict(list)

    def request(self, method: str, url: str, *, headers: Mapping[str, str], body: bytes = b"") -> Response:
        """Send a request and wait for the head of its answer.

        Compressed answers are not asked for: a compressor may hold tokens back. Redirects are not followed.

        Raises:
            VendorError: The vendor could not be reached, or broke off before it answered.
        """
        parts = urlsplit(url)
        origin = origin_of(parts, self._settings)
        head = _request_head(method, parts.path or "/", parts.query, origin, headers, len(body))
        connection = self._take(origin)
        while True:
            try:
                return self._exchange(connection, head + body)
            except _NoAnswerError as error:
                connection.close()
                if not connection.reused:
                    raise VendorOverloaded(_BROKE_OFF) from error
                # It was closed while it lay idle, before this request could count: one fresh one, once.
                connection = self._dial(origin)
            except BaseException:
                connection.close()
                raise

    def close(self) -> None:
        """Let the idle connections go."""
        for _, connection in (pair for idle in self._idle.values() for pair in idle):
            connection.close()
        self._idle.clear()

    def _exchange(self, connection: Connection, message: bytes) -> Response:
        with suppress(OSError):  # a vendor may answer "too large" and hang up before it has read all
            connection.send(message)
        response = Response(self, connection)
        coding = response.headers.get("content-encoding", "identity").lower()
        if coding not in ("identity", ""):
            log.warning("%s answered in %s, which was not asked for", connection.origin.host, coding)
            raise VendorRefused("The model's provider sent an answer that cannot be read.")
        return response

    def _take(self, origin: Origin) -> Connection:
        idle = self._idle[origin]
        oldest = self._clock.monotonic() - IDLE_S
        while idle:
            since, connection = idle.pop()
            if since >= oldest and connection.is_alive():
                return connection
            connection.close()
        return self._dial(origin)

    def _dial(self, origin: Origin) -> Connection:
        return Connection(origin, dial(origin, self._settings.connect_s, self._admits))

    def _rest(self, connection: Connection) -> None:
        connection.rest()
        idle = self._idle[connection.origin]
        idle.append((self._clock.monotonic(), connection))
        if len(idle) > IDLE_PER_ORIGIN:
            idle.pop(0)[1].close()


class _NoAnswerError(Exception):
    """The connection ended before the first byte of an answer."""


def _next(connection: Connection) -> bytes:
    """What comes next of an answer's head; a reset counts as an end."""
    try:
        return connection.receive()
    except OSError:
        return b""


def _request_head(
    method: str, path: str, query: str, origin: Origin, headers: Mapping[str, str], length: int
) -> bytes:
    target = f"{path}?{query}" if query else path
    fields: dict[str, Any] = {"Host": origin.authority, "User-Agent": "Parley", "Accept-Encoding": "identity"}
    fields.update(headers)
    if method != "GET":
        fields["Content-Length"] = length
    if origin.proxy and origin.scheme == "http":
        target = f"http://{origin.authority}{target}"
        if login := proxy_authorization(origin.proxy):
            fields["Proxy-Authorization"] = login
    lines = [f"{method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in fields.items())]
    if any("\r" in line or "\n" in line for line in lines):
        raise ValueError("A header may not hold a line end.")
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


def _read_head(connection: Connection) -> tuple[int, dict[str, str], bytes, bool]:
    """Status, headers, the bytes that came after them, and whether the connection may be used again."""
    data = b""
    while True:
        end = data.find(b"\r\n\r\n")
        if end < 0:
            if len(data) > MAX_HEAD_BYTES:
                raise VendorOverloaded("The model's provider sent an answer that cannot be read.")
            piece = _next(connection)
            if not piece:
                if data:
                    raise VendorOverloaded(_BROKE_OFF)
                raise _NoAnswerError
            data += piece
            continue
        first, *lines = data[:end].decode("latin-1").split("\r\n")
        version, _, rest = first.partition(" ")
        if version not in ("HTTP/1.1", "HTTP/1.0") or not rest[:3].isdecimal():
            raise VendorOverloaded("The model's provider sent an answer that cannot be read.")
        data = data[end + 4 :]
        status = int(rest[:3])
        if status >= 200:
            break
    headers = {}
    for line in lines:
        name, _, value = line.partition(":")
        headers[name.strip().lower()] = value.strip()
    wishes = headers.get("connection", "").lower()
    keeps = "close" not in wishes if version == "HTTP/1.1" else "keep-alive" in wishes
    return status, headers, data, keeps
