"""The chunked transfer coding of HTTP/1.1, undone as bytes arrive. Pure."""

from __future__ import annotations

import re

_HEAD = re.compile(rb"([0-9A-Fa-f]{1,15})[ \t]*(?:;[^\n]*)?\r?\n")
_LONGEST_HEAD = 4_096
_LONGEST_TRAILER = 65_536


class ChunkedError(ValueError):
    """The bytes are not in the chunked coding."""


class ChunkedBody:
    """Takes what the socket gave, gives what the sender meant. Trailers are dropped.

    Attributes:
        done: The last chunk and the trailers have come.
        rest: Bytes after the body's end; an honest sender leaves none.
    """

    __slots__ = ("_in_trailer", "_left", "_pending", "done", "rest")

    def __init__(self) -> None:
        self.done = False
        self.rest = b""
        self._pending = b""  # bytes of a head, a line end or a trailer that is not complete
        self._left = 0  # bytes of the current chunk still to come
        self._in_trailer = False

    def feed(self, data: bytes) -> bytes:
        """The body's bytes in `data`; may be none.

        Raises:
            ChunkedError: A chunk's head is wrong or too long.
        """
        # A vendor's piece mostly comes as one chunk in one segment: `12f\r\n` + bytes + `\r\n`.
        if not self._left and not self._pending and not self._in_trailer:
            end = data.find(b"\r\n", 1, 10)
            if end > 0:
                head = data[:end]
                if head.isalnum() and head[1:2] not in (b"x", b"X"):  # int() would take 0x10
                    try:
                        size = int(head, 16)
                    except ValueError:
                        raise ChunkedError("A chunk's size is no number.") from None
                    if size and len(data) == end + size + 4:
                        return data[end + 2 : -2]
        return self._feed(data)

    def _feed(self, data: bytes) -> bytes:
        data = self._pending + data
        self._pending = b""
        at = 0
        parts: list[bytes] = []
        while not self.done and at < len(data):
            if self._left > 2:  # the two bytes beyond a chunk are its line end
                part = data[at : at + self._left - 2]
                parts.append(part)
                at += len(part)
                self._left -= len(part)
                continue
            if self._left:
                if data[at : at + 1] not in (b"\r", b"\n"):
                    raise ChunkedError("A chunk is longer than its size.")
                self._left = 1 if self._left == 2 and data[at : at + 1] == b"\r" else 0
                at += 1
                continue
            if self._in_trailer:
                at = self._trailer(data, at)
                continue
            match = _HEAD.match(data, at)
            if match is None:
                self._hold(data[at:], _LONGEST_HEAD)
                if b"\n" in self._pending:
                    raise ChunkedError("A chunk's size is no number.")
                break
            at = match.end()
            size = int(match.group(1), 16)
            if size:
                self._left = size + 2
            else:
                self._in_trailer = True
        if self.done:
            self.rest += data[at:]
        return b"".join(parts)

    def _trailer(self, data: bytes, at: int) -> int:
        end = data.find(b"\n", at)
        if end < 0:
            self._hold(data[at:], _LONGEST_TRAILER)
            return len(data)
        self.done = data[at:end] in (b"", b"\r")
        return end + 1

    def _hold(self, data: bytes, limit: int) -> None:
        if len(data) > limit:
            raise ChunkedError("A chunk's head is too long.")
        self._pending = data
