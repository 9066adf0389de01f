"""Volcengine Ark on loopback: chat completions and session contexts, as Ark checks and words them."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import orjson

from simulators.faults import Fault
from simulators.loopback import Call, Exchange
from simulators.openai import OpenAISimulator, Refusal
from simulators.openai_answer import FOR_EVER_S, KEY, TOKEN, Answer, Dialect, question_of, text_of

ENDPOINT = "ep-20240101000000-abcde"
THINKING = "ep-20240101000000-think"
CLOSED = "ep-20240101000000-close"
MODEL = "doubao-1-5-pro-32k-250115"
NOT_OPEN = "doubao-seed-1-6-250615"
RECALL = "[[recall]]"
"""A question with it is answered with the user's words so far, so that a lost turn shows."""

_ENDPOINTS = {ENDPOINT: MODEL, THINKING: "doubao-1-5-thinking-pro-250415", CLOSED: MODEL, MODEL: MODEL}
_ROLES = ("system", "user", "assistant", "tool")
_TYPES = {400: "BadRequest", 401: "Unauthorized", 403: "Forbidden", 404: "NotFound", 429: "TooManyRequests"}
_LEAST_TTL_S, _LONGEST_TTL_S = 3_600, 604_800
_DIALECT = Dialect("ark", tuple(_ENDPOINTS))


@dataclass(slots=True)
class SimulatedContext:
    """A history kept for a client."""

    id: str
    endpoint: str
    mode: str
    ttl: int
    messages: list[dict[str, Any]]
    ends_at: float
    is_busy: bool = False

    @property
    def tokens(self) -> int:
        return _count(self.messages)


@dataclass(slots=True)
class _Asked:
    """A completion that was asked for: the call's own messages come after the context's."""

    call: Call
    context: SimulatedContext | None = None
    said: list[str] = field(default_factory=list)

    @property
    def messages(self) -> list[dict[str, Any]]:
        before = self.context.messages if self.context else []
        return [*before, *self.call.json["messages"]]


class ArkSimulator(OpenAISimulator):
    """Answers below `/api/v3` as Ark does. `clock` gives the seconds by which contexts expire.

    Attributes:
        contexts: By id; expired ones stay, to be looked at.
        creating: Faults of the next contexts to be made, one each; only `status`, `code` and `silent` count.
    """

    def __init__(
        self,
        *,
        script: Iterable[Fault | None] = (),
        key: str = KEY,
        port: int = 0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(script=script, key=key, port=port)
        self.contexts: dict[str, SimulatedContext] = {}
        self.creating: list[Fault] = []
        self._clock = clock
        self._numbers = itertools.count(1)

    @property
    def base_url(self) -> str:
        return f"{self.url}/api/v3"

    @property
    def sold(self) -> list[int]:
        return [call.sold for call in self.calls if call.request.path.endswith("/chat/completions")]

    def answer(self, exchange: Exchange) -> None:
        call = exchange.call
        call.dialect = _DIALECT.name
        request_id = f"0217{next(self._numbers):028x}"
        exchange.always = {"X-Request-Id": request_id}
        if traced := call.request.headers.get("x-client-request-id"):
            exchange.always["X-Client-Request-Id"] = traced
        try:
            self._take(exchange)
        except Refusal as refusal:
            error = {
                "code": refusal.code or "",
                "message": f"{refusal.message} Request id: {request_id}",
                "param": refusal.kind,
                "type": _TYPES.get(refusal.status, "InternalServerError"),
            }
            body = orjson.dumps({"error": error})
            exchange.whole(f"{refusal.status} Refused", body, {"Content-Type": "application/json"})

    def _take(self, exchange: Exchange) -> None:
        call = exchange.call
        if call.request.headers.get("authorization") != f"Bearer {self.key}":
            raise Refusal(401, "The API key or AK/SK in the request is missing or invalid.", "AuthenticationError", "")
        path = call.request.path.partition("?")[0].removeprefix("/api/v3")
        if call.request.method != "POST" or path not in (
            "/chat/completions",
            "/context/create",
            "/context/chat/completions",
        ):
            raise Refusal(404, "The requested path does not exist.", "NotFound", "")
        call.json = _body_of(call)
        _check_endpoint(str(call.json.get("model")))
        _check_messages(call.json)
        if path == "/context/create":
            self._create(exchange)
        elif path == "/context/chat/completions":
            self._complete(exchange, self._context_of(call))
        else:
            if {"max_tokens", "max_completion_tokens"} <= set(call.json):
                raise _invalid("max_tokens", "max_tokens and max_completion_tokens exclude each other")
            self._complete(exchange, None)

    def _create(self, exchange: Exchange) -> None:
        body = exchange.call.json
        fault = self.creating.pop(0) if self.creating else Fault()
        if fault.silent:
            exchange.pause(FOR_EVER_S)
        if fault.status:
            raise Refusal(fault.status, f"Simulated {fault.status} for key {self.key}.", fault.code, "")
        endpoint, ttl, mode = str(body["model"]), body.get("ttl", 86_400), body.get("mode", "session")
        if not endpoint.startswith("ep-"):
            raise _invalid("model", "contexts are made for endpoints")
        if type(ttl) is not int or not _LEAST_TTL_S <= ttl <= _LONGEST_TTL_S:
            raise _invalid("ttl", "3600 to 604800 seconds")
        if mode not in ("session", "common_prefix"):
            raise _invalid("mode", "session or common_prefix")
        strategy = body.get("truncation_strategy") or {"type": "last_history_tokens", "last_history_tokens": 4096}
        if strategy.get("type") not in ("last_history_tokens", "rolling_tokens"):
            raise _invalid("truncation_strategy", "unknown type")
        context_id = f"ctx-20241211104333-{next(self._numbers):05d}"
        context = SimulatedContext(context_id, endpoint, mode, ttl, body["messages"], self._clock() + ttl)
        self.contexts[context_id] = context
        made = {
            "id": context_id,
            "model": endpoint,
            "mode": mode,
            "ttl": ttl,
            "truncation_strategy": strategy,
            "usage": {
                "prompt_tokens": context.tokens,
                "completion_tokens": 0,
                "total_tokens": context.tokens,
                "prompt_tokens_details": {"cached_tokens": 0},
            },
        }
        exchange.whole("200 OK", orjson.dumps(made), {"Content-Type": "application/json"})

    def _context_of(self, call: Call) -> SimulatedContext:
        body = call.json
        context_id = str(body.get("context_id") or "")
        if not context_id:
            raise Refusal(400, "The request is missing a required parameter: context_id.", "MissingParameter", "")
        context = self.contexts.get(context_id)
        if context is None or context.ends_at <= self._clock():
            raise Refusal(404, f"The specified context {context_id} is not found.", "NotFound.context", "context_id")
        if context.endpoint != body["model"]:
            raise _invalid("model", "the context belongs to another endpoint")
        if body.get("tools") or body.get("response_format") or body.get("thinking"):
            raise _invalid("tools", "not supported with a context")
        if body["messages"][-1]["role"] == "assistant":
            raise _invalid("messages", "the last one may not be the assistant's")
        if context.is_busy:
            message = "Operation is denied because the specified context is in invalid state: InProgress."
            raise Refusal(403, message, "OperationDenied.InvalidState", "")
        context.ends_at = self._clock() + context.ttl
        return context

    def _complete(self, exchange: Exchange, context: SimulatedContext | None) -> None:
        asked = _Asked(exchange.call, context)
        exchange.call.prompt_tokens = _count(asked.messages)
        fault = self._fault_of(exchange.call)
        if context is None:
            self._write(exchange, asked, fault)
            return
        context.is_busy = True
        try:
            self._write(exchange, asked, fault)
        finally:
            context.is_busy = False
            # Of a broken call the half answer stays as well: the worst that a client may meet.
            if context.mode == "session":
                context.messages = [*asked.messages, {"role": "assistant", "content": "".join(asked.said)}]

    def _write(self, exchange: Exchange, asked: _Asked, fault: Fault) -> None:
        if fault.silent:
            exchange.pause(FOR_EVER_S)
        if fault.status and fault.html:
            page = f"<html><body><h1>{fault.status}</h1>nginx</body></html>".encode()
            exchange.whole(f"{fault.status} Bad Gateway", page, {"Content-Type": "text/html"})
            return
        if fault.status:
            if fault.retry_after:
                exchange.always["Retry-After"] = fault.retry_after
            raise Refusal(fault.status, f"Simulated {fault.status} for key {self.key}.", fault.code, "")
        answer = ArkAnswer(asked, fault)
        if exchange.call.json.get("stream") and not fault.plain:
            answer.stream(exchange)
        else:
            answer.whole(exchange)


class ArkAnswer(Answer):
    """One completion as Ark writes it: no null reasons, a role in each chunk, the model behind the endpoint."""

    def __init__(self, asked: _Asked, fault: Fault) -> None:
        super().__init__(_DIALECT, "", asked.call, fault)
        self._asked = asked
        self._model = _ENDPOINTS[self._model]
        self._id = f"0217{id(asked):036x}"
        last = asked.call.json["messages"][-1]
        # Models that think do not go on from a last message of the assistant's: they answer anew.
        self._prefix = text_of(last) if last["role"] == "assistant" and not self._thoughts() else ""

    def _texts(self) -> Iterator[str]:
        for text in self._recalled() if RECALL in question_of(self._call) else super()._texts():
            self._asked.said.append(text)
            yield text

    def _recalled(self) -> Iterator[str]:
        for message in self._asked.messages[:-1]:
            if message["role"] == "user":
                yield text_of(message) + "; "

    def _thoughts(self) -> Iterable[str]:
        return ("First", " think", ".") if "thinking" in self._model else ()

    def _envelope(self) -> dict[str, Any]:
        return {**super()._envelope(), "service_tier": "default"}

    def _event(self, data: dict[str, Any] | bytes) -> bytes:
        if isinstance(data, dict) and "error" not in data:
            data.setdefault("usage", None)
            data["choices"] = [_choice(choice) for choice in data["choices"]] if data["choices"] else data["choices"]
        return super()._event(data)

    def _error_frames(self) -> Iterator[Any]:
        for frame in super()._error_frames():
            if isinstance(frame, bytes):
                code = self._fault.code or "InternalServiceError"
                error = {"code": code, "message": f"Simulated, key {KEY}", "param": "", "type": "InternalServerError"}
                yield self._event({"error": error})
            else:
                yield frame

    def _usage(self) -> dict[str, Any]:
        cached = self._asked.context.tokens if self._asked.context else 0
        return {
            **super()._usage(),
            "prompt_tokens_details": {"cached_tokens": cached},
            "completion_tokens_details": {"reasoning_tokens": len(list(self._thoughts()))},
        }


def _choice(choice: dict[str, Any]) -> dict[str, Any]:
    choice["delta"] = {"role": "assistant", "content": "", **choice["delta"]}
    if choice["finish_reason"] == "content_filter":
        choice["moderation_hit_type"] = "violence"
    return {name: value for name, value in choice.items() if value is not None}


def _count(messages: list[dict[str, Any]]) -> int:
    return sum(len(TOKEN.findall(text_of(message))) for message in messages)


def _body_of(call: Call) -> dict[str, Any]:
    """The request without its nulls: Ark's own client sends one for everything that was not given."""
    try:
        body = orjson.loads(call.request.body)
        return {name: value for name, value in body.items() if value is not None}
    except (orjson.JSONDecodeError, AttributeError):
        raise _invalid("body", "no JSON object") from None


def _check_endpoint(endpoint: str) -> None:
    if endpoint == NOT_OPEN:
        raise Refusal(404, f"Your account has not activated the model {endpoint}.", "ModelNotOpen", "")
    if endpoint not in _ENDPOINTS:
        message = f"The model or endpoint {endpoint} does not exist or you do not have access to it."
        raise Refusal(404, message, "InvalidEndpointOrModel.NotFound", "")
    if endpoint == CLOSED:
        message = "The request targeted an endpoint that is currently closed or temporarily unavailable."
        raise Refusal(400, message, "InvalidEndpoint.ClosedEndpoint", "")


def _check_messages(body: dict[str, Any]) -> None:
    messages = body.get("messages")
    if not messages:
        raise Refusal(400, "The request is missing a required parameter: messages.", "MissingParameter", "messages")
    for message in messages:
        if message.get("role") not in _ROLES:
            raise _invalid("messages.role", "unknown role")
        if not message.get("content"):
            raise _invalid("messages.content", "empty")


def _invalid(parameter: str, why: str) -> Refusal:
    message = f"The parameter `{parameter}` specified in the request are not valid: {why}."
    return Refusal(400, message, "InvalidParameter", parameter)
