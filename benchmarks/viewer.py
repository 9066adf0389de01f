"""One viewer of one turn: speaks the text namespace and checks everything it is sent."""

from __future__ import annotations

import hashlib
import json
from array import array
from dataclasses import dataclass, field
from typing import Any

import orjson

from benchmarks.script import Script
from benchmarks.sent import SentTimes
from benchmarks.socketio_frames import FrameReader, PeerBroke, text_frame, upgrade_request

_DELTA = b'42/text,["turn_delta",'
_EVENT = b"42/text,"
_ACK = b"43/text,1"


@dataclass(slots=True)
class Tally:
    """What all viewers of one run saw. Delays are those of pieces that came while `open`.

    Attributes:
        pieces: The vendor's pieces that arrived.
        frames: The `turn_delta` events that brought them.
        first: Viewers that have had something.
        delays: Seconds from the vendor's send to the viewer's receive.
    """

    open: bool = False
    pieces: int = 0
    frames: int = 0
    first: int = 0
    delays: array[float] = field(default_factory=lambda: array("d"))


class Viewer:
    """A state machine over bytes: `receive` takes what came and returns what to send.

    `stage` goes `upgrading`, `joining`, `joined`, `starting`, `streaming`, `ended`. A server that loses, repeats,
    alters or misdirects anything makes `receive` raise `PeerBroke`.
    """

    def __init__(self, script: Script, *, sent: SentTimes | None, tally: Tally) -> None:
        self.stage = "upgrading"
        self._script = script
        self._sent = sent
        self._tally = tally
        self._reader = FrameReader()
        self._head = b""
        self._turn: str | None = None
        self._last = 0
        self._length = 0
        self._seen = 0
        self._texts: list[str] = []
        self._ends: list[int] = []

    def hello(self, host: str, port: int) -> bytes:
        return upgrade_request(host, port)

    def start(self, *, model: str, window_ms: int | None) -> bytes:
        """The request for a turn, with an acknowledgement."""
        self.stage = "starting"
        self._ends = self._script.ends()
        request: dict[str, Any] = {
            "client_id": f"benchmark-{self._script.stream}",
            "text": self._script.prompt,
            "model": model,
        }
        if window_ms is not None:
            request["window_ms"] = window_ms
        return text_frame("42/text,1" + json.dumps(["turn_start", request]))

    def receive(self, data: bytes, now: float) -> bytes:
        """Take what the server sent.

        Raises:
            PeerBroke: The server refused, or what it sent cannot be right.
        """
        if self.stage == "upgrading":
            self._head += data
            head, blank, data = self._head.partition(b"\r\n\r\n")
            if not blank:
                return b""
            if not head.startswith(b"HTTP/1.1 101"):
                raise PeerBroke(f"upgrade answered {head[:60]!r}")
            self.stage = "joining"
        answer = b""
        for payload in self._reader.feed(data):
            if payload.startswith(_DELTA):
                self._delta(orjson.loads(payload[len(_DELTA) : -1]), now)
            else:
                answer += self._other(payload, now)
        return answer

    def _delta(self, delta: dict[str, Any], now: float) -> None:
        if self._turn is None:  # the first piece may overtake the acknowledgement
            self._turn = delta["turn"]
        elif self._turn != delta["turn"]:
            raise PeerBroke("a piece of another turn")
        self._advance(delta, delta["count"])
        text = delta["text"]
        self._texts.append(text)
        self._length += len(text)
        tally = self._tally
        seen, ends = self._seen, self._ends
        tally.first += not seen
        while seen < len(ends) and ends[seen] <= self._length:
            if tally.open and self._sent is not None:
                tally.delays.append(now - self._sent.at(self._script.stream, seen))
            seen += 1
        tally.pieces += seen - self._seen
        tally.frames += 1
        self._seen = seen

    def _advance(self, entry: dict[str, Any], count: int) -> None:
        if self.stage == "ended":
            raise PeerBroke("an entry after turn_end")
        if entry["epoch"] != 1 or entry["offset"] != self._last + 1:
            raise PeerBroke(f"offset {entry['offset']} of epoch {entry['epoch']} after {self._last}")
        self._last += count

    def _other(self, payload: bytes, now: float) -> bytes:
        if payload == b"2":
            return text_frame("3")
        if payload.startswith(b"0"):
            return text_frame("40/text,")
        if payload.startswith(_ACK):
            self._acknowledged(json.loads(payload[len(_ACK) :])[0])
        elif payload.startswith(_EVENT):
            name, body = json.loads(payload[len(_EVENT) :])
            self._event(name, body, now)
        elif not payload.startswith(b"40/text,"):
            raise PeerBroke(f"unexpected packet {payload[:200]!r}")
        return b""

    def _acknowledged(self, ack: dict[str, Any]) -> None:
        if not ack["ok"]:
            raise PeerBroke(f"turn_start refused: {ack['error']}")
        if self._turn not in (None, ack["turn"]):
            raise PeerBroke("the acknowledgement names another turn")
        self._turn = ack["turn"]
        self.stage = "streaming"

    def _event(self, name: str, body: dict[str, Any], now: float) -> None:
        if name == "turn_delta":  # spaced otherwise than `_DELTA` expects
            self._delta(body, now)
        elif name == "welcome":
            self.stage = "joined"
        elif name == "turn_state":
            self._advance(body, 1)
        elif name == "turn_end":
            self._advance(body, 1)
            self._check(body)
            self.stage = "ended"
        elif name == "turn_rewind":
            raise PeerBroke("the turn was rewound")

    def _check(self, end: dict[str, Any]) -> None:
        text = "".join(self._texts)
        if end["status"] != "done":
            raise PeerBroke(f"turn ended {end['status']} ({end['reason']}) after {self._seen} pieces")
        if text != self._script.text():
            raise PeerBroke("the text is not what the vendor sent")
        digest = end.get("sha256")  # the Node peer sends none
        if digest is not None and (digest != hashlib.sha256(text.encode()).hexdigest() or end["length"] != len(text)):
            raise PeerBroke("turn_end's length or digest is not the text's")
