"""Readers as the older clients have them, faults included, fed with what a socket gives at each read."""

from __future__ import annotations

import json
import socket
from collections.abc import Generator, Iterable
from typing import Any
from urllib.parse import urlsplit

LIMIT_S = 30
READ_BYTES = 65_536


def reads(address: str, path: str, body: Any, *, headers: dict[str, str] | None = None) -> Generator[bytes, None, None]:
    """Post JSON; the payload of each read from the socket, as a browser hands it to a page.

    What arrives together is one read, and what is cut by the network is cut here: chunks' frames are taken out, but
    their borders are not kept.
    """
    parts = urlsplit(address)
    sent = json.dumps(body).encode()
    more = "".join(f"{name}: {value}\r\n" for name, value in (headers or {}).items())
    with socket.create_connection((parts.hostname or "", parts.port or 80), timeout=LIMIT_S) as sock:
        sock.sendall(
            f"POST {path} HTTP/1.1\r\nHost: {parts.netloc}\r\nContent-Type: application/json\r\n{more}"
            f"Content-Length: {len(sent)}\r\n\r\n".encode()
            + sent
        )
        received = bytearray()
        while b"\r\n\r\n" not in received:
            received += sock.recv(READ_BYTES)
        head, _, rest = bytes(received).partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200"), head
        assert b"transfer-encoding: chunked" in head.lower(), head
        chunked = _Chunked()
        while True:
            if payload := chunked.feed(rest):
                yield payload
            if chunked.done:
                return
            rest = sock.recv(READ_BYTES)
            assert rest, "cut before the end"


class _Chunked:
    """Takes the frames of HTTP's chunks out of a stream, wherever it is cut."""

    def __init__(self) -> None:
        self.done = False
        self._buffer = b""
        self._left = 0

    def feed(self, data: bytes) -> bytes:
        self._buffer += data
        out = bytearray()
        while self._buffer and not self.done:
            if self._left:
                taken = self._buffer[: self._left]
                self._buffer = self._buffer[len(taken) :]
                self._left -= len(taken)
                out += taken
                continue
            line, end, rest = self._buffer.lstrip(b"\r\n").partition(b"\r\n")
            if not end:
                break
            self._left, self._buffer = int(line, 16), rest
            self.done = self._left == 0
        return bytes(out)


def chat_page(given: Iterable[bytes]) -> str:
    """cloud-chat's pages: every read is split for itself, a line that is no JSON is dropped."""
    text = ""
    for read in given:
        for line in filter(str.strip, read.decode("utf-8", "replace").split("\n")):
            try:
                text += json.loads(line).get("text", "")
            except ValueError:
                continue
    return text


def one_shot_page(given: Iterable[bytes]) -> str:
    """cloud-chat's older page: buffers, but believes that every line is JSON with a `text`."""
    text = buffer = ""
    for read in given:
        *lines, buffer = (buffer + read.decode()).split("\n")
        for line in lines:
            said = json.loads(line)["text"]
            assert isinstance(said, str)
            text += said
    assert not buffer
    return text


def widget(given: Iterable[bytes]) -> str:
    """bailian-chatbot's widgets: every read for itself; what is shown counts only if the end event comes."""
    text: str = ""
    for read in given:
        for line in read.decode("utf-8", "replace").split("\n"):
            if not line.startswith("data: "):
                continue
            try:
                event = json.loads(line[6:])
            except ValueError:
                continue
            if not event["success"]:
                continue
            text += str(event.get("content", ""))
            if event["finished"]:
                return text
    raise AssertionError("the widget forgets an answer without an end")


def service_module(given: Iterable[bytes]) -> str:
    """bailian-proxy's service module: buffers lines, takes what begins with `data:`, ends at `[DONE]`."""
    text = buffer = ""
    for read in given:
        *lines, buffer = (buffer + read.decode()).split("\n")
        for line in map(str.strip, lines):
            if not line.startswith("data:"):
                continue
            payload = line[5:].strip()
            if payload == "[DONE]":
                return text
            text += json.loads(payload).get("content") or ""
    raise AssertionError("no [DONE]")
