"""What a request may look like before anybody looks at what it asks (RFC 9112)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

_METHOD = re.compile(r"[A-Z]{1,16}")
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_BAD_VALUE = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")


class BadRequest(ValueError):
    """A request that is refused unread; `status` is the line to answer with."""

    def __init__(self, status: str, reason: str) -> None:
        super().__init__(reason)
        self.status = status


class Headers:
    """Header fields in the shape gevent's handler asks for."""

    def __init__(self, fields: list[tuple[str, str]]) -> None:
        self.fields = fields

    def all(self, name: str) -> list[str]:
        return [value for field, value in self.fields if field.lower() == name]

    def get(self, name: str, default: str | None = None) -> str | None:
        found = self.all(name.lower())
        return found[0] if found else default

    getheader = get

    @property
    def typeheader(self) -> str | None:
        return self.get("content-type")

    @property
    def headers(self) -> Iterator[str]:
        return (f"{name}: {value}\r\n" for name, value in self.fields)


def parse_request_line(line: str) -> tuple[str, str, str]:
    """Method, path and version.

    Raises:
        BadRequest: It is not `METHOD /path HTTP/1.x`.
    """
    words = line.rstrip("\r\n").split(" ")
    if len(words) != 3 or not _METHOD.fullmatch(words[0]) or not words[1].startswith("/") or not words[1].isprintable():
        raise BadRequest("400 Bad Request", "malformed request line")
    if words[2] not in ("HTTP/1.1", "HTTP/1.0"):
        raise BadRequest("505 HTTP Version Not Supported", "unknown HTTP version")
    return words[0], words[1], words[2]


def read_headers(readline: Callable[[int], bytes], *, max_bytes: int, max_headers: int) -> Headers:
    """Read fields up to the empty line.

    Raises:
        BadRequest: Too many, too long, folded over lines, or malformed.
    """
    fields: list[tuple[str, str]] = []
    left = max_bytes
    while True:
        raw = readline(left + 1)
        left -= len(raw)
        if left < 0 or len(fields) > max_headers:
            raise BadRequest("431 Request Header Fields Too Large", "headers too large")
        if not raw.endswith(b"\n"):
            raise BadRequest("400 Bad Request", "headers end too early")
        line = raw.decode("latin-1").rstrip("\r\n")
        if not line:
            return Headers(fields)
        name, colon, value = line.partition(":")
        value = value.strip(" \t")
        if not colon or not _NAME.fullmatch(name) or _BAD_VALUE.search(value):
            raise BadRequest("400 Bad Request", "malformed header")  # a folded line has a space before its name
        fields.append((name, value))


def body_length(headers: Headers, version: str, *, max_bytes: int) -> int | None:
    """The announced length; None when there is none, or when the body comes in chunks.

    Raises:
        BadRequest: Two readers of this request could disagree where it ends, or it is too large.
    """
    lengths = headers.all("content-length")
    codings = [value.lower() for value in headers.all("transfer-encoding")]
    if codings and (lengths or codings != ["chunked"] or version == "HTTP/1.0"):
        raise BadRequest("400 Bad Request", "ambiguous length")
    if len(lengths) > 1 or any(not re.fullmatch(r"[0-9]{1,15}", length) for length in lengths):
        raise BadRequest("400 Bad Request", "bad Content-Length")
    if len(headers.all("host")) != 1 and version == "HTTP/1.1":
        raise BadRequest("400 Bad Request", "bad Host")
    length = int(lengths[0]) if lengths else None
    if length is not None and length > max_bytes:
        raise BadRequest("413 Content Too Large", "body too large")
    return length
