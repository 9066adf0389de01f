"""DashScope's audio on loopback: it hears, and speaks: a tone for every word, so long as the text."""

from __future__ import annotations

import math
from array import array
from dataclasses import dataclass
from typing import Any

import gevent
import orjson

from simulators.loopback import Exchange, HungUp
from simulators.openai_answer import FOR_EVER_S, KEY
from simulators.paraformer import ParaformerFault, ParaformerSimulator, Task, TaskFailed
from simulators.websocket import BINARY, ServerSocket

__all__ = ["KEY", "CosyVoiceFault", "CosyVoiceSimulator", "tone"]

MODELS = ("cosyvoice-v1", "cosyvoice-v2")
VOICES = ("longxiaochun_v2", "longcheng_v2", "longxiaochun")
RATES = (8_000, 16_000, 22_050, 24_000, 44_100, 48_000)
LETTER_MS = 60
PIECE_BYTES = 3_001  # odd: a sample is cut over two messages
MAX_CHARS = 20_000


@dataclass(frozen=True, slots=True)
class CosyVoiceFault:
    """One sentence's script.

    Attributes:
        code: Fail the task; `after` says how many pieces of sound come before that.
        cut: End the connection in its place.
        no_start, no_end: Never say `task-started`, or `task-finished`.
    """

    code: str = ""
    after: int = 0
    cut: bool = False
    no_start: bool = False
    no_end: bool = False


def tone(text: str, rate: int) -> bytes:
    """What it says to a text: its pitch is the text's own."""
    hertz = 150 + sum(map(ord, text)) % 300
    count = rate * LETTER_MS * len(text) // 1000
    step = 2 * math.pi * hertz / rate
    return array("h", (int(8_000 * math.sin(step * at)) for at in range(count))).tobytes()


class CosyVoiceSimulator(ParaformerSimulator):
    """Hears as its parent does.

    Attributes:
        spoken: The texts it was given, in order.
        orders: The payload of each `run-task` for speech.
    """

    def __init__(self, *, port: int = 0, key: str = KEY) -> None:
        super().__init__(port=port, key=key)
        self.spoken: list[str] = []
        self.orders: list[dict[str, Any]] = []
        self._faults: list[CosyVoiceFault | None] = []

    def speak_so(self, *faults: CosyVoiceFault | None) -> None:
        """Script the sentences that follow, one each."""
        self._faults += faults

    def next_fault(self) -> CosyVoiceFault:
        return (self._faults.pop(0) if self._faults else None) or CosyVoiceFault()

    def task(self, exchange: Exchange, socket: ServerSocket, fault: ParaformerFault, first: tuple[int, bytes]) -> Task:
        kind, message = first
        if kind != BINARY and orjson.loads(message).get("payload", {}).get("task") == "tts":
            return _Speech(self, exchange, socket, fault)
        return super().task(exchange, socket, fault, first)


class _Speech(Task):
    """run-task, texts, finish-task; sound comes as soon as there is text."""

    def run(self, first: tuple[int, bytes]) -> None:
        vendor = self._vendor
        assert isinstance(vendor, CosyVoiceSimulator)
        fault = vendor.next_fault()
        rate = self._open(vendor, self.read(first[1], "run-task"))
        if fault.no_start:
            self._exchange.pause(FOR_EVER_S)
        self.tell("task-started")
        pieces = 0
        while (text := self._next_text()) is not None:
            vendor.spoken.append(text)
            self.tell("result-generated", payload={"output": {"sentence": {"words": []}}, "usage": None})
            for piece in _cut(tone(text, rate)):
                if fault.code and pieces == fault.after:
                    raise TaskFailed(fault.code, "scripted")
                if fault.cut and pieces == fault.after:
                    raise HungUp
                self._socket.send(piece, kind=BINARY)
                pieces += 1
                gevent.sleep(0)
        if fault.no_end:
            self._exchange.pause(FOR_EVER_S)
        self.tell("task-finished", payload={"output": {"sentence": {"words": []}}, "usage": {"characters": pieces}})

    def _open(self, vendor: CosyVoiceSimulator, frame: dict[str, Any]) -> int:
        payload = frame["payload"]
        self._id = str(frame["header"].get("task_id", ""))
        wanted = {"task_group": "audio", "task": "tts", "function": "SpeechSynthesizer"}
        parameters = payload.get("parameters", {})
        if len(self._id.replace("-", "")) != 32 or any(payload.get(name) != value for name, value in wanted.items()):
            raise TaskFailed("InvalidParameter", "Invalid payload data")
        if payload.get("model") not in MODELS:
            raise TaskFailed("ModelNotFound", "Model not exist.")
        if parameters.get("voice") not in VOICES or parameters.get("text_type") != "PlainText":
            raise TaskFailed("InvalidParameter", "[tts:]Engine return error code: 418")
        rate = parameters.get("sample_rate")
        if parameters.get("format") != "pcm" or rate not in RATES:
            raise TaskFailed("InvalidParameter", "Invalid format or sample_rate")
        vendor.orders.append(payload)
        return int(rate)

    def _next_text(self) -> str | None:
        """The next text; None when there is no more."""
        failure = TaskFailed("CLIENT_ERROR", f"request timeout after {self._vendor.gap_s:g} seconds.")
        with gevent.Timeout(self._vendor.gap_s, failure):
            kind, message = self._socket.receive_any()
        frame = orjson.loads(message) if kind != BINARY else {}
        if frame.get("header", {}).get("task_id") != self._id:
            raise TaskFailed("CLIENT_ERROR", "Invalid task id")
        if frame["header"]["action"] == "finish-task":
            return None
        text = self.read(message, "continue-task")["payload"]["input"].get("text", "")
        if not text or sum(2 if ord(letter) > 0x2E7F else 1 for letter in text) > MAX_CHARS:
            raise TaskFailed("InvalidParameter", "Invalid text")
        return str(text)


def _cut(sound: bytes) -> list[bytes]:
    return [sound[at : at + PIECE_BYTES] for at in range(0, len(sound), PIECE_BYTES)]
