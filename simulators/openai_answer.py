"""One simulated completion in OpenAI's shape: what is said, and how each dialect writes it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import orjson

from simulators.faults import PIECES, Fault, without_directive
from simulators.loopback import Call, Exchange

KEY = "sk-simulated"
TOKEN = re.compile(r"\s*[A-Za-z0-9']+|\s*[\u3400-\u9fff]{1,2}|\s+|.", re.DOTALL)
FOR_EVER_S = 3_600.0
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


def answer_to(prompt: str, pieces: int = PIECES) -> list[str]:
    """What is said to a prompt, token by token: the prompt's own words, then a fixed rhyme. At least `pieces`."""
    tokens = TOKEN.findall(without_directive(prompt))
    return tokens + [_WORDS[number % len(_WORDS)] for number in range(max(0, pieces - len(tokens)))]


class Answer:
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
        self._prefix = text_of(last) if dialect.continues_by and last.get(dialect.continues_by) else ""
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
            if isinstance(frame, Break):
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
        blank = b"\n\n" if self._dialect.name == "deepseek" else b""
        body = orjson.dumps(self._whole_body(text, thoughts))
        exchange.whole("200 OK", blank + body, {"Content-Type": "application/json"})

    def _whole_body(self, text: str, thoughts: str) -> dict[str, Any]:
        message = {"role": "assistant", "content": text} | ({"reasoning_content": thoughts} if thoughts else {})
        return {
            "id": self._id,
            "object": "chat.completion",
            "created": 1_700_000_000,
            "model": self._model,
            "choices": [{"index": 0, "message": message, "finish_reason": self._reason()}],
            "usage": self._usage(),
        }

    def _frames(self) -> Iterator[bytes | float | Break]:
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

    def _last_frames(self) -> Iterator[bytes | float | Break]:
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
            yield FOR_EVER_S

    def _broken_at(self, number: int) -> Iterator[bytes | float | Break]:
        """What the script breaks before the piece of that number."""
        fault = self._fault
        if fault.silent_after == number:
            yield FOR_EVER_S
        if fault.reset_after == number:
            yield Break("reset")
        if fault.end_after == number:
            yield Break("finish")
        if fault.cut_after == number:
            yield Break("cut")
        if fault.error_after == number:
            yield from self._error_frames()

    def _error_frames(self) -> Iterator[bytes | Break]:
        """How a vendor tells of a fault when 200 has been sent."""
        if self._dialect.name == "ollama":  # it does not: an empty chunk, no reason, no end mark
            yield self._frame({"content": ""})
            yield Break("finish")
            return
        code: Any = self._fault.code or "server_error"
        error = {"message": f"The server had an error, key {KEY}", "type": "server_error", "param": None, "code": code}
        if self._dialect.name == "vllm":
            error["code"] = int(code) if str(code).isdecimal() else 500
        yield self._event({"error": error})
        if self._dialect.name == "vllm":
            yield self._event(b"[DONE]")
        yield Break("finish")

    def _texts(self) -> Iterator[str]:
        """The answer's pieces; the same for the same request, and those after the prefix of a continued one."""
        told = 0
        for number, text in enumerate(answer_to(question_of(self._call), self._fault.pieces)):
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
class Break:
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


def text_of(message: dict[str, Any]) -> str:
    content = message.get("content") or ""
    if isinstance(content, str):
        return content
    return "".join(part.get("text", "") for part in content)


def question_of(call: Call) -> str:
    users = [message for message in call.json["messages"] if message["role"] == "user"]
    return text_of(users[-1]) if users else ""
