"""Server-sent events cut out of bytes as they arrive. Pure."""

from __future__ import annotations

MAX_EVENT_BYTES = 1_048_576

_BOM = b"\xef\xbb\xbf"


class SseError(ValueError):
    """A line or an event longer than `MAX_EVENT_BYTES`."""


class SseReader:
    """Gives the `data` of each event, undecoded, once its blank line has come.

    Bytes are split at line ends before anything is decoded, so a character may be cut anywhere between two chunks,
    and U+2028 in a text is no line end. Comments and fields other than `data` are passed over. LF, CRLF and CR end
    lines. Source: the WHATWG HTML standard, section 9.2, read 2026-11.
    """

    __slots__ = ("_after_cr", "_begun", "_lines", "_parts", "_size")

    def __init__(self) -> None:
        self._parts: list[bytes] = []  # of a line that has not ended
        self._lines: list[bytes] = []  # `data` of an event that has not ended
        self._size = 0  # bytes in both
        self._after_cr = False
        self._begun = False

    def feed(self, chunk: bytes) -> list[bytes]:
        """Take the next bytes; give the events they completed.

        Raises:
            SseError: A line or an event is too long; the reader is of no further use.
        """
        # Nearly every chunk of a vendor is one or more whole events of one line, `data: {...}` and a blank line.
        if (
            chunk[:6] == b"data: "
            and chunk[-2:] == b"\n\n"
            and not self._size
            and self._begun
            and not self._after_cr
            and b"\r" not in chunk
        ):
            if chunk.count(b"\n") == 2:
                return [chunk[6:-2]]
            events = chunk[:-2].split(b"\n\n")
            if all(event[:6] == b"data: " and b"\n" not in event for event in events):
                return [event[6:] for event in events]
        return self._feed(chunk)

    def close(self) -> list[bytes]:
        """The connection ended: give an event whose blank line never came."""
        found = self._feed(b"\n\n") if self._size else []
        self._after_cr = False
        return found

    def _feed(self, chunk: bytes) -> list[bytes]:
        if not self._begun:
            chunk = self._without_bom(chunk)
        if self._after_cr and chunk:
            self._after_cr = False
            if chunk[:1] == b"\n":  # the second half of a CRLF
                chunk = chunk[1:]
        if b"\r" in chunk:
            self._after_cr = chunk[-1:] == b"\r"
            chunk = chunk.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        *lines, rest = chunk.split(b"\n")
        found: list[bytes] = []
        if lines and self._parts:
            lines[0] = b"".join([*self._parts, lines[0]])
            self._size -= sum(map(len, self._parts))
            self._parts.clear()
        for line in lines:
            self._line(line, found)
        if rest:
            self._parts.append(rest)
            self._grow(len(rest))
        return found

    def _line(self, line: bytes, found: list[bytes]) -> None:
        if len(line) > MAX_EVENT_BYTES:
            raise SseError("A line of the stream is too long.")
        if not line:
            if self._lines:
                found.append(b"\n".join(self._lines))
                self._size -= sum(map(len, self._lines))
                self._lines.clear()
        elif line[:5] == b"data:":
            value = line[6:] if line[5:6] == b" " else line[5:]
            if value:
                self._lines.append(value)
                self._grow(len(value))

    def _grow(self, size: int) -> None:
        self._size += size
        if self._size > MAX_EVENT_BYTES:
            raise SseError("An event of the stream is too long.")

    def _without_bom(self, chunk: bytes) -> bytes:
        """Hold the first bytes back until they are known to be a byte order mark or not."""
        head = b"".join(self._parts) + chunk
        if len(head) < len(_BOM) and _BOM.startswith(head):
            self._parts, self._size = [head] if head else [], len(head)
            return b""
        self._parts, self._size, self._begun = [], 0, True
        return head.removeprefix(_BOM)
