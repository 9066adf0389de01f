"""DashScope's realtime recognition on loopback: tasks in order, sentences in proportion to what came, faults."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gevent
import orjson

from simulators.loopback import Exchange, HungUp, LoopbackServer
from simulators.openai_answer import FOR_EVER_S, KEY
from simulators.speech import Hearing
from simulators.websocket import BINARY, ServerSocket

__all__ = ["KEY", "ParaformerFault", "ParaformerSimulator"]

PATHS = ("/api-ws/v1/inference", "/api-ws/v1/inference/")
MODELS = ("paraformer-realtime-v2", "paraformer-realtime-8k-v2", "fun-asr-realtime")
RATES = {"paraformer-realtime-8k-v2": (8_000,), "fun-asr-realtime": (16_000,)}
MAX_FRAME_BYTES = 16_384
SILENCE_MS = 800


@dataclass(frozen=True, slots=True)
class ParaformerFault:
    """One connection's script. `*_ms` counts sound received.

    Attributes:
        status: Refuse the handshake.
        code, message, at_ms: Fail the task once so much has come.
        cut_at_ms: End the connection without a word.
        no_start, no_end: Never say `task-started`, or `task-finished`.
        heartbeats: Send sentences that carry nothing between the others.
    """

    status: int = 0
    code: str = ""
    message: str = "scripted"
    at_ms: int = 0
    cut_at_ms: int | None = None
    no_start: bool = False
    no_end: bool = False
    heartbeats: bool = False


class ParaformerSimulator(LoopbackServer):
    """Hears what `simulators.speech` says; four words, or a pause, make a sentence.

    Attributes:
        tasks: What each task was given to hear.
        requests: The payload of each `run-task`.
        gap_s: Wait for data after which a task fails.
    """

    def __init__(self, *, port: int = 0, key: str = KEY) -> None:
        super().__init__(port)
        self.key = key
        self.gap_s = 23.0
        self.tasks: list[Hearing] = []
        self.requests: list[dict[str, Any]] = []
        self._script: list[ParaformerFault | None] = []

    @property
    def ws_url(self) -> str:
        return self.url.replace("http", "ws", 1) + PATHS[0]

    def play(self, *faults: ParaformerFault | None) -> None:
        """Script the connections that follow, one each."""
        self._script += faults

    def answer(self, exchange: Exchange) -> None:
        exchange.call.dialect = "paraformer"
        request = exchange.call.request
        fault = (self._script.pop(0) if self._script else None) or ParaformerFault()
        status = fault.status
        if request.path not in PATHS:
            status = 404
        elif request.headers.get("authorization", "").lower() != f"bearer {self.key}".lower():
            status = 401
        if status:
            body = orjson.dumps({"code": "InvalidApiKey", "message": "Invalid API-key provided.", "request_id": "r"})
            exchange.whole(f"{status} Refused", body, {"Content-Type": "application/json"})
            return
        socket = ServerSocket(exchange)
        socket.accept({})
        while True:  # one connection, many tasks in turn
            first = socket.receive_any()
            task = self.task(exchange, socket, fault, first)
            try:
                task.run(first)
            except TaskFailed as failed:
                task.tell("task-failed", code=failed.code, message=failed.message)
                socket.close()
                return

    def task(self, exchange: Exchange, socket: ServerSocket, fault: ParaformerFault, first: tuple[int, bytes]) -> Task:
        """Whoever serves the task that begins with that message."""
        return Task(self, exchange, socket, fault)


class TaskFailed(Exception):
    """The task fails, and the connection is closed after it."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code, self.message = code, message


class Task:
    def __init__(
        self, vendor: ParaformerSimulator, exchange: Exchange, socket: ServerSocket, fault: ParaformerFault
    ) -> None:
        self._vendor = vendor
        self._exchange = exchange
        self._socket = socket
        self._fault = fault
        self._id = ""
        self._hearing: Hearing | None = None
        self._sentence: list[tuple[int, int, str]] = []
        self._number = 1

    def run(self, first: tuple[int, bytes]) -> None:
        self._begin(*first)
        while True:
            failure = TaskFailed("CLIENT_ERROR", f"request timeout after {self._vendor.gap_s:g} seconds.")
            with gevent.Timeout(self._vendor.gap_s, failure):
                kind, payload = self._socket.receive_any()
            if kind == BINARY:
                self._take(payload)
                continue
            if self.read(payload, "finish-task")["header"]["task_id"] != self._id:
                raise TaskFailed("CLIENT_ERROR", "Invalid task id")
            break
        assert self._hearing is not None
        self._sentence += self._hearing.finish()
        self._end_sentence()
        if self._fault.no_end:
            self._exchange.pause(FOR_EVER_S)
        self.tell("task-finished", payload={"output": {}, "usage": None})

    def tell(self, event: str, *, payload: dict[str, Any] | None = None, code: str = "", message: str = "") -> None:
        header: dict[str, Any] = {"task_id": self._id, "event": event, "attributes": {}}
        if code:
            header |= {"error_code": code, "error_message": message}
        self._socket.send(orjson.dumps({"header": header, "payload": payload or {}}))

    def _begin(self, kind: int, message: bytes) -> None:
        if kind == BINARY:
            raise TaskFailed("CLIENT_ERROR", "Audio before run-task")
        frame = self.read(message, "run-task")
        payload = frame["payload"]
        self._id = str(frame["header"].get("task_id", ""))
        wanted = {"task_group": "audio", "task": "asr", "function": "recognition"}
        parameters = payload.get("parameters", {})
        if len(self._id.replace("-", "")) != 32 or any(payload.get(name) != value for name, value in wanted.items()):
            raise TaskFailed("InvalidParameter", "Invalid payload data")
        if payload.get("model") not in MODELS:
            raise TaskFailed("ModelNotFound", "Model not exist.")
        rate = parameters.get("sample_rate")
        if parameters.get("format") != "pcm" or rate not in (8_000, 16_000):
            raise TaskFailed("InvalidParameter", "Invalid format or sample_rate")
        if rate not in RATES.get(payload["model"], (8_000, 16_000)):
            raise TaskFailed("InvalidParameter", "sample_rate does not fit the model")
        self._vendor.requests.append(payload)
        self._hearing = Hearing(rate)
        self._vendor.tasks.append(self._hearing)
        if self._fault.no_start:
            # Whoever sends sound now has not waited.
            self._socket.receive_any()
            raise TaskFailed("CLIENT_ERROR", "Audio before task-started")
        self.tell("task-started")

    def read(self, message: bytes, action: str) -> dict[str, Any]:
        frame: dict[str, Any] = orjson.loads(message)
        if frame["header"].get("action") != action or frame["header"].get("streaming") != "duplex":
            raise TaskFailed("CLIENT_ERROR", "Invalid action")
        if "input" not in frame.get("payload", {}):
            raise TaskFailed("InvalidParameter", "Invalid payload data: input is missing")
        return frame

    def _take(self, pcm: bytes) -> None:
        hearing, fault = self._hearing, self._fault
        assert hearing is not None
        if not 0 < len(pcm) <= MAX_FRAME_BYTES:
            raise TaskFailed("CLIENT_ERROR", "Invalid audio frame")
        for word in hearing.take(pcm):
            self._sentence.append(word)
            if fault.heartbeats:
                self._result("", None, heartbeat=True)
            self._result(self._text(), None)
            if len(self._sentence) == 4:
                self._end_sentence()
        if self._sentence and hearing.quiet_ms >= SILENCE_MS:
            self._end_sentence()
        if fault.code and hearing.ms >= fault.at_ms:
            raise TaskFailed(fault.code, fault.message)
        if fault.cut_at_ms is not None and hearing.ms >= fault.cut_at_ms:
            raise HungUp

    def _text(self) -> str:
        return "".join(word for _, _, word in self._sentence)

    def _end_sentence(self) -> None:
        if self._sentence:
            self._result(self._text(), self._sentence[-1][1])
            self._sentence = []
            self._number += 1

    def _result(self, text: str, end_ms: int | None, *, heartbeat: bool = False) -> None:
        sentence = {
            "sentence_id": self._number,
            "begin_time": self._sentence[0][0] if self._sentence else 0,
            "end_time": end_ms,
            "text": text,
            "words": [
                {"begin_time": start, "end_time": end, "text": word, "punctuation": ""}
                for start, end, word in self._sentence
            ],
            "heartbeat": heartbeat,
            "sentence_end": end_ms is not None,
        }
        usage = {"duration": -(-end_ms // 1000)} if end_ms is not None else None
        self.tell("result-generated", payload={"output": {"sentence": sentence}, "usage": usage})
