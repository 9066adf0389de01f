"""One speaker on `/voice`, framed by hand: sends sound, and looks at the end whether every byte was taken."""

from __future__ import annotations

import json
import socket
from typing import Any

from benchmarks.socketio_frames import FrameReader, PeerBroke, text_frame, upgrade_request

FRAME_BYTES = 1_280
_MASK = bytes(4)
_LIMIT_S = 30.0


class Speaker:
    """Blocks while it joins and ends; `frame` only makes bytes."""

    def __init__(self, port: int, number: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=_LIMIT_S)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._number = number
        self._reader = FrameReader()
        self._waiting: list[bytes] = []
        self._turn = ""
        self._sent = 0
        pcm = (number * 7 + 1).to_bytes(2, "little") * (FRAME_BYTES // 2)
        payload = pcm if number % 2 else pcm[::-1]
        self._binary = bytes((0x82, 0x80 | 126)) + len(payload).to_bytes(2, "big") + _MASK + payload

    def join(self) -> None:
        """Connect, join and begin an utterance."""
        self.socket.sendall(upgrade_request("127.0.0.1", self.socket.getpeername()[1]))
        head = b""
        while b"\r\n\r\n" not in head:
            head += self._receive()
        self._waiting += self._reader.feed(head.partition(b"\r\n\r\n")[2])
        self._until(b"0")
        self.socket.sendall(text_frame("40/voice,"))
        self._until(b'42/voice,["welcome"')
        asked = {"client_id": f"benchmark-{self._number}", "encoding": "pcm_s16le", "rate": 16_000, "channels": 1}
        self._turn = self._call(1, "voice_start", {**asked, "model": "discard"})["turn"]

    def frame(self) -> bytes:
        """The next 40 ms: an event and its attachment."""
        place = {"turn": self._turn, "at": self._sent, "pcm": {"_placeholder": True, "num": 0}}
        self._sent += FRAME_BYTES
        return text_frame("451-/voice," + json.dumps(["voice_frame", place])) + self._binary

    def end(self) -> None:
        """End the utterance.

        Raises:
            PeerBroke: Not every byte was taken.
        """
        taken = self._call(2, "voice_end", {"turn": self._turn, "at": self._sent})["next"]
        if taken != self._sent:
            raise PeerBroke(f"{taken} of {self._sent} bytes were taken")

    def _call(self, number: int, event: str, payload: dict[str, Any]) -> dict[str, Any]:
        self.socket.sendall(text_frame(f"42/voice,{number}" + json.dumps([event, payload])))
        head = b"43/voice,%d" % number
        (answer,) = json.loads(self._until(head)[len(head) :])
        if not answer["ok"]:
            raise PeerBroke(f"{event} refused: {answer['error']}")
        return dict(answer)

    def _until(self, start: bytes) -> bytes:
        """The first packet that begins so; a ping on the way is answered."""
        while True:
            while self._waiting:
                packet = self._waiting.pop(0)
                if packet.startswith(start):
                    return packet
                if packet == b"2":
                    self.socket.sendall(text_frame("3"))
                elif packet.startswith((b'42/voice,["voice_overrun"', b'42/voice,["voice_refused"')):
                    raise PeerBroke(f"a frame was not taken: {packet[:200]!r}")
            self._waiting += self._reader.feed(self._receive())

    def _receive(self) -> bytes:
        data = self.socket.recv(65_536)
        if not data:
            raise PeerBroke("the server closed a speaker's connection")
        return data
