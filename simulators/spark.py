"""Spark on loopback: the signed WebSocket with all of the vendor's checks, and its HTTP twin."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import fields
from email.utils import formatdate
from typing import Any

import orjson

from simulators.faults import Fault, read_directive
from simulators.loopback import Call, Exchange, LoopbackServer
from simulators.openai_answer import FOR_EVER_S, answer_to
from simulators.spark_answer import SparkAnswer, SparkFault, question_of
from simulators.spark_checks import (
    APP_ID,
    HTTP_PATHS,
    KEY,
    PATHS,
    SECRET,
    FrameRefusal,
    HandshakeRefusal,
    Served,
    check_chat,
    check_handshake,
    check_texts,
    count_tokens,
    read_request,
)
from simulators.spark_http import FAULT_WORDS, SparkHttpAnswer
from simulators.websocket import ServerSocket

__all__ = ["APP_ID", "KEY", "SECRET", "SparkFault", "SparkSimulator", "answer_to"]

_JSON = {"Content-Type": "application/json"}


class SparkSimulator(LoopbackServer):
    """Answers deterministically, counts what it sold, and fails as it is told.

    Faults come from `script`, one per call and None for none, and after its end from the prompt. Times, limits and
    keys can be changed while it runs.

    Attributes:
        key: The APIKey that is known, and the password of the HTTP endpoint.
        now: The simulator's clock.
        opened: Domains that the app may use.
        most_at_once: Connections of the app that may run at once; None for any number.
    """

    def __init__(
        self, *, script: Iterable[Fault | None] = (), port: int = 0, now: Callable[[], float] = time.time
    ) -> None:
        super().__init__(port)
        self.key = KEY
        self.now = now
        self.opened = {domain for served in PATHS.values() for domain in served.domains}
        self.most_at_once: int | None = None
        self._running: Counter[str] = Counter()
        self._script = list(script)
        self._seen: Counter[str] = Counter()

    @property
    def ws_url(self) -> str:
        return self.url.replace("http", "ws", 1)

    @property
    def sold(self) -> list[int]:
        """Tokens sent, by call."""
        return [call.sold for call in self.calls if call.json]

    def play(self, *faults: Fault | None) -> None:
        """Script the calls that follow, one each."""
        self._script += faults

    def forget(self) -> None:
        """Drop the calls so far and what is left of the script."""
        self.calls.clear()
        self._script.clear()

    def answer(self, exchange: Exchange) -> None:
        exchange.call.dialect = "spark"
        exchange.always["Date"] = formatdate(self.now(), usegmt=True)
        if exchange.call.request.method == "POST":
            self._answer_http(exchange)
        else:
            self._answer_socket(exchange)

    # The WebSocket

    def _answer_socket(self, exchange: Exchange) -> None:
        call = exchange.call
        fault = self._next() if self._script else None
        try:
            served = check_handshake(call.request, key=self.key, now=self.now())
        except HandshakeRefusal as refusal:
            _refuse(exchange, refusal.status, {"message": refusal.message})
            return
        if fault is not None and (fault.status or fault.html):
            _refuse_by_script(exchange, fault, {"message": FAULT_WORDS})
            return
        socket = ServerSocket(exchange, split=fault.split if fault else 0)
        socket.accept({"Sec-WebSocket-Accept": "bm8="} if fault is not None and fault.accept else {})
        self._turn(exchange, socket, served, fault)

    def _turn(self, exchange: Exchange, socket: ServerSocket, served: Served, fault: SparkFault | None) -> None:
        call = exchange.call
        sid = f"cht{id(call):09x}@dx{len(self.calls):x}"
        message = socket.receive()
        uid = ""
        try:
            read_request(call, message, served)
            if fault is None:
                fault = self._directed(question_of(call))
            uid = self._admit(call)
            if fault.status:  # asked for in the prompt, when the handshake is long over
                raise FrameRefusal(11202 if fault.status == 429 else 10012, f"EngineInternalError:{FAULT_WORDS}")
            if fault.silent:
                exchange.pause(FOR_EVER_S)
            SparkAnswer(call, fault, reasons=served.reasons, sid=sid).stream(exchange, socket)
        except FrameRefusal as refusal:
            header = {"code": refusal.code, "message": refusal.message, "sid": sid, "status": 2}
            socket.send(orjson.dumps({"header": header}))
            socket.close()
        finally:
            self._running.subtract(filter(None, (uid, uid and "all")))

    def _admit(self, call: Call) -> str:
        """Count the call in; what the app has opened and how much it may do at once."""
        header, domain = call.json["header"], call.json["parameter"]["chat"]["domain"]
        if domain not in self.opened:
            raise FrameRefusal(11200, f"AppIdNoAuthError:domain.{domain}")
        if self.most_at_once is not None and self._running["all"] >= self.most_at_once:
            raise FrameRefusal(11203, "AppIdConcurrencyOverFlow:concurrent")
        uid = f"u {header['uid']}" if header.get("uid") else f"call {id(call)}"
        if self._running[uid]:
            raise FrameRefusal(10007, "UserTrafficLimited:previous answer is not finished")
        self._running.update((uid, "all"))
        return uid

    # The HTTP endpoint

    def _answer_http(self, exchange: Exchange) -> None:
        call = exchange.call
        fault = self._next() if self._script else None
        models = HTTP_PATHS.get(call.request.path)
        if call.request.headers.get("authorization") != f"Bearer {self.key}":
            _refuse(exchange, 401, {"error": {"message": "Unauthorized", "type": "api_error", "code": None}})
            return
        if models is None:
            _refuse(exchange, 404, {"message": "no Route matched with those values"})
            return
        try:
            body = call.json = orjson.loads(call.request.body)
            if body.get("model") not in models:
                raise FrameRefusal(10003, "ClientMsgError:invalid model domain")
            texts = body.get("messages")
            served = next(served for served in PATHS.values() if body["model"] in served.domains)
            check_chat(body, served)
            check_texts(texts, served)
            call.prompt_tokens = count_tokens(texts, served)
            if fault is None:
                fault = self._directed(str(texts[-1]["content"]))
            if body["model"] not in self.opened:
                raise FrameRefusal(11200, f"AppIdNoAuthError:domain.{body['model']}")
        except FrameRefusal as refusal:
            error = {"message": refusal.message, "type": "api_error", "param": None, "code": str(refusal.code)}
            _refuse(exchange, 400, {"error": error})
            return
        if fault.silent:
            exchange.pause(FOR_EVER_S)
        if fault.status:
            error = {"message": FAULT_WORDS, "type": "api_error", "param": None, "code": fault.code or None}
            _refuse_by_script(exchange, fault, {"error": error})
            return
        answer = SparkHttpAnswer(call, fault, sid=f"cha{id(call):09x}@dx1")
        if body.get("stream") and not fault.plain:
            answer.stream(exchange)
        else:
            answer.whole(exchange)

    # Scripts

    def _next(self) -> SparkFault | None:
        fault = self._script.pop(0)
        if fault is None or isinstance(fault, SparkFault):
            return fault
        return SparkFault(**{field.name: getattr(fault, field.name) for field in fields(fault)})

    def _directed(self, prompt: str) -> SparkFault:
        """The fault a prompt asks for."""
        try:
            fault = read_directive(prompt, SparkFault)
        except ValueError as error:
            raise FrameRefusal(10005, f"ClientMsgError:{error}") from None
        self._seen[prompt] += 1
        assert isinstance(fault, SparkFault)
        if fault.times and self._seen[prompt] > fault.times:
            return SparkFault(pieces=fault.pieces, rate=fault.rate)
        return fault


def _refuse(exchange: Exchange, status: int, body: dict[str, Any]) -> None:
    exchange.whole(f"{status} Refused", orjson.dumps(body), _JSON)


def _refuse_by_script(exchange: Exchange, fault: Fault, body: dict[str, Any]) -> None:
    headers = {"Retry-After": fault.retry_after} if fault.retry_after else {}
    if fault.html:
        page = b"<html><body><h1>Sign in</h1></body></html>"
        exchange.whole(f"{fault.status or 200} Gateway", page, {"Content-Type": "text/html", **headers})
    else:
        exchange.whole(f"{fault.status} Refused", orjson.dumps(body), {**_JSON, **headers})
