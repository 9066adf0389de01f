"""A vendor in OpenAI's shape that streams many paced answers from a small part of one core.

Every frame is encoded before the first request and leaves by one `send` of its own, as vendors do. The answers wait
until all `--streams` requests have come and then run side by side, their pieces spread evenly over the interval, so
that a server's slow start never shortens the time measured. When each piece left is written to the `--sent` file.
"""

from __future__ import annotations

import argparse
import gc
import json
import select
import socket
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.script import PIECES, Script
from benchmarks.sent import SentTimes

TICK_S = 0.001
_HEAD = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-cache\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n"
)
_MODELS = json.dumps({"object": "list", "data": [{"id": "benchmark", "object": "model"}]}).encode()
_MODELS_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
_CHUNK = {
    "id": "chatcmpl-9kQ2vX7mBdYt4uLwZr8sHfJcN1gE",
    "object": "chat.completion.chunk",
    "created": 1700000000,
    "model": "benchmark",
    "system_fingerprint": "fp_50cad350e4",
}


def encode(value: object) -> bytes:
    """One server-sent event in an HTTP chunk of its own."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    event = f"data: {text}\n\n".encode()
    return b"%x\r\n%b\r\n" % (len(event), event)


def delta(fields: dict[str, object], finish_reason: str | None = None) -> bytes:
    choice = {"index": 0, "delta": fields, "logprobs": None, "finish_reason": finish_reason}
    return encode({**_CHUNK, "choices": [choice], "usage": None})


def ending(count: int) -> bytes:
    """The finish reason, the usage, `[DONE]` and the last chunk: four events in one write."""
    usage = {"prompt_tokens": 9, "completion_tokens": count, "total_tokens": 9 + count}
    return delta({}, "stop") + encode({**_CHUNK, "choices": [], "usage": usage}) + encode("[DONE]") + b"0\r\n\r\n"


@dataclass(slots=True, eq=False)
class Connection:
    """One client, the request it is sending, and the answer it is being sent."""

    socket: socket.socket
    inbox: bytearray = field(default_factory=bytearray)
    unsent: bytearray = field(default_factory=bytearray)
    script: Script | None = None
    position: int = 0

    def write(self, data: bytes) -> None:
        """Send what the socket takes and keep the rest. Never yields."""
        if self.unsent:
            self.unsent += data
            data = bytes(self.unsent)
            self.unsent.clear()
        try:
            taken = self.socket.send(data)
        except BlockingIOError:
            taken = 0
        if taken < len(data):
            self.unsent += data[taken:]


class Vendor:
    """Serves `GET .../models` and `POST .../chat/completions`; one instance is one run."""

    def __init__(self, listener: socket.socket, *, streams: int, rate: float, pieces: int, sent: SentTimes) -> None:
        self._listener = listener
        self._streams = streams
        self._pieces = pieces
        self._sent = sent
        self._frames = [delta({"content": piece}) for piece in PIECES]
        self._ending = ending(pieces)
        ticks = max(1, round(1 / rate / TICK_S))
        self._slots: list[list[Connection]] = [[] for _ in range(ticks)]
        self._waiting: list[Connection] = []
        self._connections: dict[int, Connection] = {}
        self._poll = select.epoll()
        self._poll.register(listener, select.EPOLLIN)

    def run(self) -> None:
        """Serve until killed."""
        tick, due = 0, time.monotonic()
        while True:
            if not any(self._slots):
                self._serve(timeout_s=0.05)
                due = time.monotonic()
                continue
            pause = due - time.monotonic()
            if pause > 0:
                time.sleep(pause)
            self._send_slot(self._slots[tick % len(self._slots)])
            self._serve(timeout_s=0)
            tick, due = tick + 1, due + TICK_S

    def _send_slot(self, slot: list[Connection]) -> None:
        for connection in tuple(slot):
            try:
                if self._send_next(connection):
                    slot.remove(connection)
            except OSError:
                self._drop(connection)

    def _send_next(self, connection: Connection) -> bool:
        """Send one piece, or after the last one the ending; whether the answer is out whole."""
        script, position = connection.script, connection.position
        assert script is not None
        if position < script.count:
            frame = self._frames[script.cycle_index(position)] if position else delta({"content": script.first})
            self._sent.mark(script.stream, position)  # before the send: a viewer may have the piece before it returns
            connection.write(frame)
        else:
            connection.write(self._ending if position == script.count else b"")
        connection.position = position + 1
        return position >= script.count and not connection.unsent

    def _serve(self, timeout_s: float) -> None:
        for descriptor, _ in self._poll.poll(timeout_s):
            if descriptor == self._listener.fileno():
                self._accept()
                continue
            connection = self._connections[descriptor]
            try:
                data = connection.socket.recv(65536)
                connection.inbox += data
                if data:
                    self._answer(connection)
                else:
                    self._drop(connection)
            except OSError:
                self._drop(connection)

    def _accept(self) -> None:
        accepted, _ = self._listener.accept()
        accepted.setblocking(False)
        accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._connections[accepted.fileno()] = Connection(accepted)
        self._poll.register(accepted, select.EPOLLIN)

    def _answer(self, connection: Connection) -> None:
        head, blank, body = connection.inbox.partition(b"\r\n\r\n")
        if not blank or len(body) < _content_length(head):
            return
        connection.inbox.clear()
        if head.startswith(b"GET "):
            connection.write(_MODELS_HEAD % len(_MODELS) + _MODELS)
            return
        prompt = json.loads(body)["messages"][-1]["content"]
        connection.script, connection.position = Script(Script.number_in(prompt), self._pieces), 0
        connection.write(_HEAD + delta({"role": "assistant", "content": ""}))
        self._waiting.append(connection)
        if len(self._waiting) == self._streams:
            for number, waiting in enumerate(self._waiting):
                self._slots[number % len(self._slots)].append(waiting)
            self._waiting.clear()

    def _drop(self, connection: Connection) -> None:
        del self._connections[connection.socket.fileno()]
        for group in (self._waiting, *self._slots):
            if connection in group:
                group.remove(connection)
        connection.socket.close()


def _content_length(head: bytes | bytearray) -> int:
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            return int(value)
    return 0


def main() -> None:
    parser = argparse.ArgumentParser(description="Serve paced answers in OpenAI's shape.")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--streams", type=int, required=True, help="answers that start together")
    parser.add_argument("--rate", type=float, required=True, help="pieces a second of each")
    parser.add_argument("--pieces", type=int, required=True, help="pieces of each answer")
    parser.add_argument("--sent", type=Path, required=True, help="file of the times at which pieces left")
    options = parser.parse_args()
    listener = socket.create_server(("127.0.0.1", options.port), backlog=4096)
    listener.setblocking(False)
    gc.disable()  # nothing here is cyclic, and a collection would show as a delay of somebody else
    sent = SentTimes(options.sent, streams=options.streams, pieces=options.pieces)
    vendor = Vendor(listener, streams=options.streams, rate=options.rate, pieces=options.pieces, sent=sent)
    try:
        vendor.run()
    except KeyboardInterrupt:
        sys.exit(0)


if __name__ == "__main__":
    main()
