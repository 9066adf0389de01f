"""A client that streams nothing: asks the server for something small again and again, and notes how long it took.

Prints a JSON list of `[asked at, seconds]`, by the monotonic clock, when its input ends.
"""

from __future__ import annotations

import argparse
import gc
import json
import select
import socket
import sys
import time

from benchmarks.socketio_frames import FrameReader, PeerBroke, text_frame, upgrade_request

EVERY_S = 0.005
LONGEST_S = 30.0
_HOST = "127.0.0.1"


class Bystander:
    """One connection to `/text`, with one question under way at most."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection((_HOST, port), timeout=LONGEST_S)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._reader = FrameReader()
        self._socket.sendall(upgrade_request(_HOST, port))
        head = b""
        while b"\r\n\r\n" not in head:
            head += self._received()
        self._payloads = list(self._reader.feed(head.partition(b"\r\n\r\n")[2]))
        self._await(b"0")
        self._socket.sendall(text_frame("40/text,"))
        self._await(b'42/text,["welcome"')

    def ask(self) -> float:
        """Seconds until the acknowledgement of a `sync`."""
        begun = time.monotonic()
        self._socket.sendall(text_frame('42/text,7["sync"]'))
        self._await(b"43/text,7")
        return time.monotonic() - begun

    def _await(self, start: bytes) -> None:
        while True:
            while self._payloads:
                payload = self._payloads.pop(0)
                if payload.startswith(start):
                    return
                if payload == b"2":
                    self._socket.sendall(text_frame("3"))
            self._payloads = list(self._reader.feed(self._received()))

    def _received(self) -> bytes:
        data = self._socket.recv(65_536)
        if not data:
            raise PeerBroke("the server closed the connection of a client that streams nothing")
        return data


def main() -> None:
    parser = argparse.ArgumentParser(description="Probe a server's latency until the input ends.")
    parser.add_argument("--port", type=int, required=True)
    options = parser.parse_args()
    gc.disable()
    bystander = Bystander(options.port)
    print("asking", flush=True)
    asked: list[tuple[float, float]] = []
    while not select.select([sys.stdin], [], [], EVERY_S)[0]:
        asked.append((time.monotonic(), bystander.ask()))
    json.dump(asked, sys.stdout)


if __name__ == "__main__":
    main()
