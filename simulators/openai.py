"""OpenAI, DeepSeek, Ollama, vLLM and DashScope's compatible mode on loopback, one wire shape in five dialects."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import orjson

from simulators.faults import PIECES, Fault, read_directive, without_directive
from simulators.loopback import Call, Exchange, LoopbackServer

KEY = "sk-simulated"
_FOR_EVER_S = 3_600.0
_TOKEN = re.compile(r"\s*[A-Za-z0-9']+|\s*[\u3400-\u9fff]{1,2}|\s+|.", re.DOTALL)
_WORDS = ("春眠", "不觉", "晓，", " the", " answer", " line\u2028sep", " 😀", "\n", " end", " 处处", "闻啼", "鸟。")
_THOUGHTS = ("First", " I", " 想一想", ",", " then", " I answer", ".")


@dataclass(frozen=True, slots=True)
class Dialect:
    """One vendor's way of speaking."""

    name: str
    models: tuple[str, ...]
    checks_key: bool = True
    continues_by: str = ""  # the field of the last assistant message


DIALECTS = {
    dialect.name: dialect
    for dialect in (
        Dialect("openai", ("gpt-4o-mini", "gpt-4o", "gpt-4.1-mini", "gpt-4.1", "o3")),
        Dialect("deepseek", ("deepseek-chat", "deepseek-reasoner"), continues_by="prefix"),
        Dialect("ollama", ("qwen2:7b", "llava:13b", "nomic-embed-text:latest"), checks_key=False),
        Dialect("vllm", ("Qwen/Qwen2.5-7B-Instruct",), checks_key=False),
        Dialect(
            "dashscope",
            ("qwen-plus", "qwen-max", "qwen-turbo", "qwen-flash", "qwen-vl-plus"),
            continues_by="partial",
        ),
    )
}


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
                exchange.pause(_FOR_EVER_S)
            if fault.status:
                self._refuse_by_script(exchange, dialect, fault)
                return
        except Refusal as refusal:
            exchange.whole(*_error_answer(dialect, refusal))
            return
        answer = _Answer(dialect, path, call, fault)
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
        call.prompt_tokens = sum(len(_TOKEN.findall(_text_of(message))) for message in messages)

    def _fault_of(self, call: Call) -> Fault:
        if self._script:
            return self._script.pop(0) or Fault()
        prompt = _question(call)
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


def answer_to(prompt: str, pieces: int = PIECES) -> list[str]:
    """What is said to a prompt, token by token: the prompt's own words, then a fixed rhyme. At least `pieces`."""
    tokens = _TOKEN.findall(without_directive(prompt))
    return tokens + [_WORDS[number % len(_WORDS)] for number in range(max(0, pieces - len(tokens)))]


class _Answer:
    """One completion: what is said, and how it is written."""

    def __init__(self, dialect: Dialect, path: str, call: Call, fault: Fault) -> None:
        self._dialect = dialect
        self._call = call
        self._fault = fault
        self._model = str(call.json["model"])
        self._wants_usage = bool((call.json.get("stream_options") or {}).get("include_usage"))
        self._id = "chatcmpl-7" if dialect.name == "ollama" else f"chatcmpl-{id(call):x}"
        self._newline = b"\r\n" if fault.crlf else b"\n"
        last = call.json["messages"][-1]
        self._prefix = _text_of(last) if dialect.continues_by and last.get(dialect.continues_by) else ""
        self._limit = call.json.get("max_completion_tokens", call.json.get("max_tokens"))

    def stream(self, exchange: Exchange) -> None:
        fault = self._fault
        headers = {"Content-Type": "text/event-stream", "Cache-Control": "no-cache", "X-Request-Id": "req_simulated"}
        if fault.gzip:
            headers["Content-Encoding"] = "gzip"
        if fault.html:
            exchange.whole("200 OK", b"<html><body>Sign in</body></html>", {"Content-Type": "text/html"})
            return
        if fault.length is not None:
            body = b"".join(frame for frame in self._frames() if isinstance(frame, bytes))
            exchange.head("200 OK", {**headers, "Content-Length": str(len(body) + fault.length)})
            exchange.raw(body)
            exchange.cut()
            return
        if fault.unchunked:
            headers["Connection"] = "close"
        exchange.head("200 OK", headers, is_chunked=not fault.unchunked)
        for frame in self._frames():
            if isinstance(frame, _Break):
                frame.happen(exchange)
                return
            if isinstance(frame, float):
                exchange.pause(frame)
                continue
            for part in _split(frame, fault.split):
                exchange.send(part)
        exchange.finish()

    def whole(self, exchange: Exchange) -> None:
        """The answer as one JSON body; DeepSeek sends blank lines before it."""
        texts, thoughts = list(self._texts()), "".join(self._thoughts())
        text = "".join(texts)
        self._call.sold += len(texts) + len(list(self._thoughts()))
        message = {"role": "assistant", "content": text} | ({"reasoning_content": thoughts} if thoughts else {})
        body = {
            "id": self._id,
            "object": "chat.completion",
            "created": 1_700_000_000,
            "model": self._model,
            "choices": [{"index": 0, "message": message, "finish_reason": self._reason()}],
            "usage": self._usage(),
        }
        blank = b"\n\n" if self._dialect.name == "deepseek" else b""
        exchange.whole("200 OK", blank + orjson.dumps(body), {"Content-Type": "application/json"})

    def _frames(self) -> Iterator[bytes | float | _Break]:
        """The stream's bytes, its waits and its ends."""
        fault = self._fault
        if fault.bom:
            yield b"\xef\xbb\xbf"
        if fault.line_bytes:
            yield b": " + b"x" * fault.line_bytes + self._newline
        for _ in range(int(fault.comments_s / 0.05)):
            yield b": keep-alive" + self._newline * 2
            yield 0.05
        yield self._frame({"role": "assistant", "content": ""})
        for thought in self._thoughts():
            self._call.sold += 1
            yield self._frame({"reasoning_content": thought, "content": None})
        for number, text in enumerate(self._texts()):
            yield from self._broken_at(number)
            if fault.rate:
                yield 1 / fault.rate
            self._call.sold += 1
            if fault.bad_json_after == number:
                yield b'data: {"choices":[{"delta":{"content":"' + self._newline * 2
                continue
            frame = self._frame({"refusal": text} if fault.refusal else {"content": text})
            if fault.bad_utf8 and number == 1:
                frame = frame.replace(b'"content":"', b'"content":"\xff')
            yield frame
        yield from self._broken_at(fault.pieces)
        yield from self._last_frames()

    def _last_frames(self) -> Iterator[bytes | float]:
        fault = self._fault
        final = self._frame({}, self._reason(), is_last=True)
        yield final
        if fault.twice:
            yield final
            yield self._frame({"content": " too late"})
        if self._wants_usage and fault.usage != "none":
            choices: list[Any] | None = None if fault.null_choices else []
            for _ in range(2 if fault.usage == "twice" else 1):
                yield self._event({**self._envelope(), "choices": choices, "usage": self._usage()})
        if not fault.no_done:
            yield self._event(b"[DONE]")
        if fault.linger:
            yield _FOR_EVER_S

    def _broken_at(self, number: int) -> Iterator[bytes | float | _Break]:
        """What the script breaks before the piece of that number."""
        fault = self._fault
        if fault.silent_after == number:
            yield _FOR_EVER_S
        if fault.reset_after == number:
            yield _Break("reset")
        if fault.end_after == number:
            yield _Break("finish")
        if fault.cut_after == number:
            yield _Break("cut")
        if fault.error_after == number:
            yield from self._error_frames()

    def _error_frames(self) -> Iterator[bytes | _Break]:
        """How a vendor tells of a fault when 200 has been sent."""
        if self._dialect.name == "ollama":  # it does not: an empty chunk, no reason, no end mark
            yield self._frame({"content": ""})
            yield _Break("finish")
            return
        code: Any = self._fault.code or "server_error"
        error = {"message": f"The server had an error, key {KEY}", "type": "server_error", "param": None, "code": code}
        if self._dialect.name == "vllm":
            error["code"] = int(code) if str(code).isdecimal() else 500
        yield self._event({"error": error})
        if self._dialect.name == "vllm":
            yield self._event(b"[DONE]")
        yield _Break("finish")

    def _texts(self) -> Iterator[str]:
        """The answer's pieces; the same for the same request, and those after the prefix of a continued one."""
        told = 0
        for number, text in enumerate(answer_to(_question(self._call), self._fault.pieces)):
            if self._limit is not None and self._call.sold >= self._limit:
                return
            if told < len(self._prefix):
                told += len(text)
                continue
            yield text
            if self._fault.flood and number == self._fault.pieces - 1:
                while True:
                    yield _WORDS[number % len(_WORDS)] * 64

    def _thoughts(self) -> Iterable[str]:
        return _THOUGHTS if "reasoner" in self._model else ()

    def _reason(self) -> str:
        is_cut = self._limit is not None and self._call.sold >= self._limit
        return "length" if is_cut else self._fault.finish

    def _envelope(self) -> dict[str, Any]:
        envelope = {"id": self._id, "object": "chat.completion.chunk", "created": 1_700_000_000, "model": self._model}
        if self._dialect.name == "openai":
            envelope["system_fingerprint"] = "fp_simulated"
        return envelope

    def _frame(self, delta: dict[str, Any], reason: str | None = None, *, is_last: bool = False) -> bytes:
        frame: dict[str, Any] = self._envelope()
        frame["choices"] = [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": reason}]
        if self._wants_usage and self._dialect.name == "openai":
            frame["usage"] = None
        if self._fault.usage == "all" or (is_last and self._puts_usage_on_the_last()):
            frame["usage"] = self._usage()
        return self._event(frame)

    def _puts_usage_on_the_last(self) -> bool:
        return self._wants_usage and self._dialect.name == "deepseek" and self._fault.usage != "none"

    def _event(self, data: dict[str, Any] | bytes) -> bytes:
        payload = data if isinstance(data, bytes) else orjson.dumps(data)
        return b"data: " + payload + self._newline * (1 if self._fault.no_blank else 2)

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
        return {"prompt_tokens": prompt, "completion_tokens": sold, "total_tokens": total}


@dataclass(frozen=True, slots=True)
class _Break:
    """An end before the answer's end."""

    how: str

    def happen(self, exchange: Exchange) -> None:
        getattr(exchange, self.how)()


def _split(data: bytes, size: int) -> Iterator[bytes]:
    if not size:
        yield data
        return
    for at in range(0, len(data), size):
        yield data[at : at + size]


def _text_of(message: dict[str, Any]) -> str:
    content = message.get("content") or ""
    if isinstance(content, str):
        return content
    return "".join(part.get("text", "") for part in content)


def _question(call: Call) -> str:
    users = [message for message in call.json["messages"] if message["role"] == "user"]
    return _text_of(users[-1]) if users else ""


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
