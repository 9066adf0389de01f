"""OpenAI, DeepSeek, Ollama, vLLM and DashScope's compatible mode on loopback, one wire shape in five dialects."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import orjson

from simulators.faults import Fault, read_directive
from simulators.loopback import Call, Exchange, LoopbackServer
from simulators.openai_answer import DIALECTS, FOR_EVER_S, KEY, TOKEN, Answer, Dialect, answer_to, question_of, text_of

__all__ = ["KEY", "OpenAISimulator", "answer_to"]


class Refusal(Exception):
    """An answer other than 200."""

    def __init__(self, status: int, message: str, code: str | None, kind: str = "invalid_request_error") -> None:
        super().__init__(message)
        self.status, self.message, self.code, self.kind = status, message, code, kind


class OpenAISimulator(LoopbackServer):
    """Answers deterministically, counts what it sold, and fails as it is told.

    The dialect is the first part of the path (`/deepseek/v1/...`), else the one it was made with. Faults come from
    `script`, one per call and None for none, and after its end from the prompt: see `simulators/faults.py`.
    """

    def __init__(
        self, dialect: str = "openai", *, script: Iterable[Fault | None] = (), key: str = KEY, port: int = 0
    ) -> None:
        super().__init__(port)
        self.key = key
        self._default = DIALECTS[dialect]
        self._script = list(script)
        self._seen: dict[str, int] = {}

    def play(self, *faults: Fault | None) -> None:
        """Script the calls that follow, one each."""
        self._script += faults

    def forget(self) -> None:
        """Drop the calls so far and what is left of the script."""
        self.calls.clear()
        self._script.clear()

    @property
    def base_url(self) -> str:
        """Where `/chat/completions` is."""
        return f"{self.url}/v1"

    @property
    def sold(self) -> list[int]:
        """Tokens sent, by call."""
        return [call.sold for call in self.calls if call.request.method == "POST"]

    def answer(self, exchange: Exchange) -> None:
        call = exchange.call
        dialect, path = self._dialect_of(call.request.path)
        call.dialect = dialect.name
        try:
            self._check_key(dialect, call)
            if call.request.method == "GET":
                body = _listing(dialect, path)
                exchange.whole("200 OK", orjson.dumps(body), {"Content-Type": "application/json"})
                return
            self._read(dialect, path, call)
            fault = self._fault_of(call)
            if fault.silent:
                exchange.pause(FOR_EVER_S)
            if fault.status:
                self._refuse_by_script(exchange, dialect, fault)
                return
        except Refusal as refusal:
            exchange.whole(*_error_answer(dialect, refusal))
            return
        answer = Answer(dialect, path, call, fault)
        if call.json.get("stream") and not fault.plain:
            answer.stream(exchange)
        else:
            answer.whole(exchange)

    def _dialect_of(self, path: str) -> tuple[Dialect, str]:
        path = path.partition("?")[0]
        first = path.split("/")[1]
        if first in DIALECTS:
            return DIALECTS[first], path[len(first) + 1 :]
        return self._default, path

    def _check_key(self, dialect: Dialect, call: Call) -> None:
        if dialect.checks_key and call.request.headers.get("authorization") != f"Bearer {self.key}":
            given = call.request.headers.get("authorization", "")[-4:]
            if dialect.name == "deepseek":
                message = f"Authentication Fails, Your api key: ****{given} is invalid"
                raise Refusal(401, message, "invalid_request_error", "authentication_error")
            raise Refusal(401, f"Incorrect API key provided: sk-****{given}.", "invalid_api_key")

    def _read(self, dialect: Dialect, path: str, call: Call) -> None:
        """Decode and check a completion request as the vendors do."""
        if call.request.method != "POST" or not path.endswith("/chat/completions"):
            raise Refusal(404, f"Unknown request URL: {call.request.method} {path}.", "unknown_url")
        try:
            body = orjson.loads(call.request.body)
        except orjson.JSONDecodeError:
            raise Refusal(400, "We could not parse the JSON body of your request.", None) from None
        call.json = body
        if body.get("model") not in dialect.models:
            raise Refusal(404, f"The model `{body.get('model')}` does not exist.", "model_not_found")
        messages = body.get("messages")
        if not messages:
            raise Refusal(400, "[] is too short - 'messages'", None)
        for message in messages:
            if message.get("role") not in ("system", "user", "assistant", "tool", "developer"):
                raise Refusal(422 if dialect.name == "deepseek" else 400, "Unknown role.", "invalid_value")
            if dialect.name == "deepseek" and "reasoning_content" in message:
                raise Refusal(400, "reasoning_content is not allowed in messages.", "invalid_request_error")
            if message.get(dialect.continues_by) and (
                message is not messages[-1] or message["role"] != "assistant"
            ):
                raise Refusal(400, "Only the last message, an assistant's, can be continued.", None)
        if dialect.name == "deepseek" and messages[-1].get("prefix") and not path.startswith("/beta/"):
            raise Refusal(400, "prefix is a beta feature.", "invalid_request_error")
        if str(body["model"]).startswith("o3") and ("max_tokens" in body or "temperature" in body):
            raise Refusal(400, "Unsupported parameter: 'max_tokens'.", "unsupported_parameter")
        call.prompt_tokens = sum(len(TOKEN.findall(text_of(message))) for message in messages)

    def _fault_of(self, call: Call) -> Fault:
        if self._script:
            return self._script.pop(0) or Fault()
        prompt = question_of(call)
        try:
            fault = read_directive(prompt)
        except ValueError as error:
            raise Refusal(400, str(error), "unknown_fault") from None
        seen = f"{call.dialect} {prompt}"
        self._seen[seen] = self._seen.get(seen, 0) + 1
        if fault.times and self._seen[seen] > fault.times:
            return Fault(pieces=fault.pieces, rate=fault.rate)
        return fault

    def _refuse_by_script(self, exchange: Exchange, dialect: Dialect, fault: Fault) -> None:
        headers = {"Retry-After": fault.retry_after} if fault.retry_after else {}
        if fault.html:
            page = f"<html><body><h1>{fault.status}</h1>nginx</body></html>".encode()
            exchange.whole(f"{fault.status} Bad Gateway", page, {"Content-Type": "text/html", **headers})
            return
        refusal = Refusal(fault.status, f"Simulated {fault.status} for key {self.key}.", fault.code or None, "error")
        status, body, own = _error_answer(dialect, refusal)
        exchange.whole(status, body, {**own, **headers})


def _listing(dialect: Dialect, path: str) -> dict[str, Any]:
    if path.endswith("/api/tags"):
        return {"models": [{"name": name, "details": {"families": _families(name)}} for name in dialect.models]}
    if path.endswith("/models"):
        data = [{"id": name, "object": "model", "owned_by": dialect.name} for name in dialect.models]
        if dialect.name == "vllm":
            data = [{**model, "max_model_len": 8192} for model in data]  # type: ignore[dict-item]
        return {"object": "list", "data": data}
    raise Refusal(404, f"Unknown request URL: GET {path}.", "unknown_url")


def _families(name: str) -> list[str]:
    if "embed" in name:
        return ["nomic-bert"]
    return ["llama", "clip"] if "llava" in name else ["qwen2"]


def _error_answer(dialect: Dialect, refusal: Refusal) -> tuple[str, bytes, dict[str, str]]:
    error: dict[str, Any] = {
        "message": refusal.message,
        "type": refusal.kind,
        "param": None,
        "code": refusal.status if dialect.name == "vllm" else refusal.code,
    }
    body: dict[str, Any] = {"error": error}
    if dialect.name == "dashscope":
        body["request_id"] = "0f3c-simulated"
    headers = {"Content-Type": "application/json", "X-Request-Id": "req_simulated"}
    return f"{refusal.status} Refused", orjson.dumps(body), headers
