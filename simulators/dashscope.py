"""DashScope on loopback: its own protocol under /api/v1, OpenAI's shape under /compatible-mode/v1."""

from __future__ import annotations

import base64
import binascii
import uuid
from collections.abc import Iterable
from typing import Any

import orjson

from simulators.dashscope_answer import REQUEST_ID, DashScopeAnswer
from simulators.faults import Fault
from simulators.loopback import Call, Exchange
from simulators.openai import OpenAISimulator, Refusal
from simulators.openai_answer import DIALECTS, FOR_EVER_S, KEY, TOKEN, Dialect, text_of

APP_ID = "7f2b1c0d9e8a4b5c8d7e6f5a4b3c2d1e"
WORKSPACE = "llm-simulated"

_ROOT = "/api/v1"
_TEXT = "/services/aigc/text-generation/generation"
_SEEING = "/services/aigc/multimodal-generation/generation"
_MODELS = {
    _TEXT: ("qwen-plus", "qwen-max", "qwen-turbo", "qwen-flash", "qwq-plus"),
    _SEEING: ("qwen-vl-plus", "qwen-vl-max"),
}
_MAGIC = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"RIFF", b"BM")
_MAX_PICTURE_LETTERS = 10 * 1_048_576
_CODES = {
    400: "InvalidParameter",
    401: "InvalidApiKey",
    403: "AccessDenied",
    404: "ModelNotFound",
    408: "RequestTimeOut",
    429: "Throttling.RateQuota",
    503: "ModelUnavailable",
}


class DashScopeSimulator(OpenAISimulator):
    """Checks what DashScope checks, and answers as it does.

    A call's `json` has, beside the request itself, `messages`: what the model was given to read, an application's
    session included. A session is a list of such messages.

    Attributes:
        sessions: By id; a test may drop one.
        refuses_lost_sessions: A session that is not there is an error; else a new one begins without a word.
        app_thinks: The application's model reasons.
    """

    def __init__(self, *, script: Iterable[Fault | None] = (), key: str = KEY, port: int = 0) -> None:
        super().__init__("dashscope", script=script, key=key, port=port)
        self.sessions: dict[str, list[dict[str, str]]] = {}
        self.refuses_lost_sessions = False
        self.app_thinks = False

    @property
    def base_url(self) -> str:
        return self.url + _ROOT

    def answer(self, exchange: Exchange) -> None:
        call = exchange.call
        path = call.request.path.partition("?")[0]
        if not path.startswith(_ROOT + "/"):
            super().answer(exchange)
            return
        call.dialect = "dashscope"
        path = path.removeprefix(_ROOT)
        try:
            self._check_caller(call)
            session_id = self._read_native(path, call)
            fault = self._fault_of(call)
            if fault.silent:
                exchange.pause(FOR_EVER_S)
            if fault.status:
                self._refuse_by_script(exchange, DIALECTS["dashscope"], fault)
                return
        except Refusal as refusal:
            _refuse(exchange, refusal)
            return
        thinks = self.app_thinks and bool(call.json["parameters"].get("has_thoughts")) if session_id else _thinks(call)
        answer = DashScopeAnswer(path, call, fault, session_id=session_id, thinks=thinks)
        try:
            if _wants_stream(call) and not fault.plain:
                answer.stream(exchange)
            else:
                answer.whole(exchange)
        finally:
            if session_id:
                self.sessions[session_id] = [*call.json["messages"], {"role": "assistant", "content": answer.told}]

    def _check_caller(self, call: Call) -> None:
        headers = call.request.headers
        if headers.get("authorization") != f"Bearer {self.key}":
            raise Refusal(401, "Invalid API-key provided.", "InvalidApiKey")
        if headers.get("x-dashscope-workspace", WORKSPACE) != WORKSPACE:
            raise Refusal(403, "Workspace access denied.", "Workspace.AccessDenied")
        if not headers.get("content-type", "").startswith("application/json"):
            raise Refusal(400, "Content-Type must be application/json.", "InvalidParameter")

    def _read_native(self, path: str, call: Call) -> str:
        """Decode and check a request; give the id of an application's session, empty for a model."""
        try:
            body = orjson.loads(call.request.body)
            given, parameters = body["input"], body.setdefault("parameters", {})
        except (orjson.JSONDecodeError, KeyError, AttributeError):
            raise Refusal(400, "Required body invalid, please check the request body.", "InvalidParameter") from None
        if call.request.method != "POST":
            raise Refusal(405, "Request method not supported.", "InvalidParameter")
        if path.startswith("/apps/") and path.endswith("/completion"):
            messages, session_id = self._enter_session(path.split("/")[2], given)
        else:
            messages, session_id = _checked_messages(path, body), ""
        if parameters.get("result_format", "message") != "message":
            raise Refusal(400, "This simulator answers in messages.", "InvalidParameter")
        call.json = {**body, "messages": messages, "model": body.get("model", "")}
        if "max_tokens" in parameters:
            call.json["max_tokens"] = parameters["max_tokens"]
        call.prompt_tokens = sum(len(TOKEN.findall(text_of(message))) for message in messages) + 1
        return session_id

    def _enter_session(self, app_id: str, given: dict[str, Any]) -> tuple[list[dict[str, str]], str]:
        if app_id != APP_ID:
            words = "Required parameter(AppId) missing or invalid, please check the request parameters."
            raise Refusal(200, words, "InvalidParameter", "event")
        session_id = str(given.get("session_id") or "")
        if given.get("messages"):
            return given["messages"], uuid.uuid4().hex
        if not given.get("prompt"):
            raise Refusal(400, "Required parameter(prompt) missing or invalid.", "InvalidParameter")
        held = self.sessions.get(session_id)
        if held is None:
            if session_id and self.refuses_lost_sessions:
                raise Refusal(200, "The session does not exist.", "InvalidParameter", "event")
            held, session_id = [], uuid.uuid4().hex
        return [*held, {"role": "user", "content": given["prompt"]}], session_id

    def _refuse_by_script(self, exchange: Exchange, dialect: Dialect, fault: Fault) -> None:
        if fault.html or not exchange.call.request.path.startswith(_ROOT):
            super()._refuse_by_script(exchange, dialect, fault)
            return
        code = fault.code or _CODES.get(fault.status, "InternalError" if fault.status >= 500 else "InvalidParameter")
        refusal = Refusal(fault.status, f"Simulated {fault.status} for key {self.key}.", code)
        _refuse(exchange, refusal, {"Retry-After": fault.retry_after} if fault.retry_after else {})


def _refuse(exchange: Exchange, refusal: Refusal, headers: dict[str, str] | None = None) -> None:
    """A refusal as JSON with its status, or, of some kinds, as an event of an accepted stream."""
    body = orjson.dumps({"code": refusal.code, "message": refusal.message, "request_id": REQUEST_ID})
    if refusal.kind == "event" and _wants_stream(exchange.call):
        exchange.head("200 OK", {"Content-Type": "text/event-stream;charset=UTF-8"}, is_chunked=True)
        exchange.send(b"id:1\nevent:error\n:HTTP_STATUS/400\ndata:" + body + b"\n\n")
        exchange.finish()
        return
    status = 400 if refusal.kind == "event" else refusal.status
    exchange.whole(f"{status} Refused", body, {"Content-Type": "application/json", **(headers or {})})


def _checked_messages(path: str, body: dict[str, Any]) -> list[dict[str, Any]]:
    """The messages of a model's request, as far as DashScope would accept them."""
    if path not in _MODELS:
        raise Refusal(400, "url error, please check url！", "InvalidURL")
    model = body.get("model")
    if not model:
        raise Refusal(400, "Model is empty.", "BadRequest.EmptyModel")
    if model not in _MODELS[path]:
        if any(model in models for models in _MODELS.values()):
            raise Refusal(400, "url error, please check url！", "InvalidParameter")
        raise Refusal(404, "Model not exist.", "ModelNotFound")
    messages: list[dict[str, Any]] = body["input"].get("messages") or []
    if not messages:
        raise Refusal(400, "Input data cannot be empty.", "BadRequest.EmptyInput")
    turns = messages[1:] if messages[0].get("role") == "system" else messages
    expected = ["user" if number % 2 == 0 else "assistant" for number in range(len(turns))]
    is_partial = bool(turns) and bool(turns[-1].get("partial"))
    if [turn.get("role") for turn in turns] != expected or len(turns) % 2 == (0 if not is_partial else 1):
        raise Refusal(400, "Role must be user or assistant in turn and end with user.", "InvalidParameter")
    for message in messages:
        if path == _SEEING:
            _check_parts(message.get("content"))
        elif not isinstance(message.get("content"), str):
            raise Refusal(400, "Input should be a valid string: input.messages.content", "InvalidParameter")
    return messages


def _check_parts(content: Any) -> None:
    if not isinstance(content, list):
        raise Refusal(400, "Input should be a valid list: input.messages.content", "InvalidParameter")
    for part in content:
        picture = part.get("image")
        if picture is None:
            continue
        head, comma, data = picture.partition(";base64,")
        if not (comma and head.startswith("data:image/")):
            raise Refusal(400, "The provided URL does not appear to be valid.", "InvalidParameter")
        if len(picture) > _MAX_PICTURE_LETTERS:
            raise Refusal(400, "Exceeded limit on max bytes per data-uri item", "InvalidParameter")
        try:
            is_picture = base64.b64decode(data, validate=True).startswith(_MAGIC)
        except binascii.Error:
            is_picture = False
        if not is_picture:
            raise Refusal(400, "Failed to decode the image during the data inspection.", "InvalidParameter")


def _wants_stream(call: Call) -> bool:
    """A header asks for a stream, not the body."""
    headers = call.request.headers
    if headers.get("x-dashscope-sse") == "enable":
        return True
    return "/apps/" in call.request.path and headers.get("accept") == "text/event-stream"


def _thinks(call: Call) -> bool:
    return str(call.json["model"]).startswith("qwq") or bool(call.json["parameters"].get("enable_thinking"))
