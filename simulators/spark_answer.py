"""One simulated answer of Spark: the frames of its WebSocket, with what a script breaks in them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import orjson

from simulators.faults import Fault
from simulators.loopback import Call, Exchange
from simulators.openai_answer import FOR_EVER_S, answer_to
from simulators.spark_http import FAULT_WORDS, THOUGHTS
from simulators.websocket import BINARY, TEXT, ServerSocket

_LONG = "处处闻啼鸟" * 64


@dataclass(frozen=True, slots=True)
class SparkFault(Fault):
    """What can go wrong on a WebSocket besides.

    Attributes:
        single: The whole answer in one frame.
        fragment: Messages in continuation frames of so many bytes.
        binary: Messages as binary ones.
        pings: So many pings before the first piece, and the last of them must be answered.
        close_after: A close frame with `close_code` after so many pieces.
        seq: `repeat` (a frame comes twice), `gap` (one is missing), `back` (two change places), `none` (no numbers).
        unmasked: A frame that breaks the protocol after so many pieces: it is masked.
        accept: The handshake's proof is wrong.
    """

    single: bool = False
    fragment: int = 0
    binary: bool = False
    pings: int = 0
    close_after: int | None = None
    close_code: int = 1011
    seq: str = ""
    unmasked: int | None = None
    accept: bool = False


class Broken(Exception):
    """The script ends the answer here."""


class SparkAnswer:
    """Sends the frames of one answer."""

    def __init__(self, call: Call, fault: SparkFault, *, reasons: bool, sid: str) -> None:
        self._call = call
        self._fault = fault
        self._sid = sid
        self._seq = 0
        self._limit: int | None = call.json["parameter"]["chat"].get("max_tokens")
        self._thoughts = THOUGHTS if reasons else ()
        self._send: Callable[[bytes], None]

    def stream(self, exchange: Exchange, socket: ServerSocket) -> None:
        """Send all of it. Ends by closing, as the vendor does."""
        fault = self._fault
        self._send = lambda data: socket.send(data, kind=BINARY if fault.binary else TEXT, fragment=fault.fragment)
        for number in range(fault.pings):
            socket.ping(b"%d" % number)
        while fault.pings and b"%d" % (fault.pings - 1) not in socket.pongs:
            socket.take_pong()
        for _ in range(int(fault.comments_s / 0.05)):
            socket.ping()
            exchange.pause(0.05)
        try:
            self._pieces(exchange, socket)
        except Broken:
            return
        if fault.linger:
            exchange.pause(FOR_EVER_S)
        socket.close()

    def _pieces(self, exchange: Exchange, socket: ServerSocket) -> None:
        fault = self._fault
        thoughts = self._thoughts[: self._limit]
        texts = answer_to(question_of(self._call), fault.pieces)
        if self._limit is not None:
            texts = texts[: self._limit - len(thoughts)]
        if fault.single:
            self._call.sold += len(texts)
            self._frame("".join(texts), is_last=True)
            return
        for thought in thoughts:
            self._call.sold += 1
            self._frame("", thought=thought)
        for number, text in enumerate(texts):
            self._break_at(number, exchange, socket)
            if fault.rate:
                exchange.pause(1 / fault.rate)
            self._call.sold += 1
            self._frame(text, is_broken=fault.bad_json_after == number, has_bad_byte=fault.bad_utf8 and number == 1)
            if number == 2:
                self._disorder(text)
        while fault.flood:
            self._call.sold += 1
            self._frame(_LONG)
        self._break_at(fault.pieces, exchange, socket)
        self._frame("", is_last=True)
        if fault.twice:
            self._frame("", is_last=True)
            self._frame(" too late")

    def _break_at(self, number: int, exchange: Exchange, socket: ServerSocket) -> None:
        """What the script breaks before the piece of that number."""
        fault = self._fault
        if fault.silent_after == number:
            exchange.pause(FOR_EVER_S)
        if fault.error_after == number:
            self.error(int(fault.code or 10012), f"EngineInternalError:(12:17:04.432) {FAULT_WORDS}")
            socket.close()
        elif fault.close_after == number:
            socket.close(fault.close_code, FAULT_WORDS.encode())
        elif fault.end_after == number:
            socket.close()
        elif fault.reset_after == number:
            exchange.reset()
        elif fault.unmasked == number:
            exchange.raw(b"\x81\x82abcdxx")
        elif fault.cut_after != number:
            return
        raise Broken

    def _disorder(self, text: str) -> None:
        """What the script does to the numbers after the third frame."""
        if self._fault.seq == "repeat":
            self._seq -= 1
            self._frame(text)
        elif self._fault.seq == "gap":
            self._seq += 1
        elif self._fault.seq == "back":
            self._seq -= 2

    def _frame(
        self,
        text: str,
        *,
        thought: str = "",
        is_last: bool = False,
        is_broken: bool = False,
        has_bad_byte: bool = False,
    ) -> None:
        status = 2 if is_last else 1 if self._seq else 0
        piece = {"content": text, "role": "assistant", "index": 0}
        if thought:
            piece["reasoning_content"] = thought
        choices: dict[str, Any] = {"status": status, "seq": self._seq, "text": [piece]}
        if self._fault.seq == "none":
            del choices["seq"]
        payload: dict[str, Any] = {"choices": choices}
        if (is_last and self._fault.usage != "none") or self._fault.usage in ("all", "twice"):
            payload["usage"] = {"text": self._usage()}
        header = {"code": 0, "message": "Success", "sid": self._sid, "status": status}
        data = orjson.dumps({"header": header, "payload": payload})
        if is_broken:
            data = data[: data.index(b'"content"') + 12]
        if has_bad_byte:
            data = data.replace(b'"content":"', b'"content":"\xff')
        self._send(data)
        self._seq += 1

    def error(self, code: int, message: str) -> None:
        """A frame that says no."""
        header = {"code": code, "message": message, "sid": self._sid, "status": 2}
        self._send(orjson.dumps({"header": header}))

    def _usage(self) -> dict[str, Any]:
        prompt: Any = self._call.prompt_tokens
        sold: Any = self._call.sold
        match self._fault.usage:
            case "negative":
                sold = -sold
            case "huge":
                sold = 10**12
            case "text":
                sold = str(sold)
            case "zero":
                prompt = sold = 0
        total = prompt + sold if isinstance(sold, int) else sold
        return {"question_tokens": 1, "prompt_tokens": prompt, "completion_tokens": sold, "total_tokens": total}


def question_of(call: Call) -> str:
    """The user's last message."""
    users = [text for text in call.json["payload"]["message"]["text"] if text.get("role") == "user"]
    return str(users[-1].get("content", "")) if users else ""
