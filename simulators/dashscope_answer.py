"""One simulated completion in DashScope's own shape: of a text model, of one that sees, or of an application."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import orjson

from simulators.faults import Fault
from simulators.loopback import Call
from simulators.openai_answer import DIALECTS, FOR_EVER_S, KEY, Answer, Break

REQUEST_ID = "0f3c9d1e-4b7a-9e52-8c1d-5f2a6b7c8d9e"
_THOUGHTS = ("First", " I", " 想一想", ",", " then", " I answer", ".")


class DashScopeAnswer(Answer):
    """Says what the compatible mode says, in other frames.

    Every frame has the count; there is no end mark. Without `incremental_output` each frame repeats the whole answer.
    """

    def __init__(self, path: str, call: Call, fault: Fault, *, session_id: str = "", thinks: bool = False) -> None:
        super().__init__(DIALECTS["dashscope"], path, call, fault)
        parameters = call.json.get("parameters") or {}
        self._session_id = session_id
        self._sees = "multimodal" in path
        self._is_cumulative = fault.cumulative or not parameters.get("incremental_output")
        self._thinks = thinks
        self._number = 0
        self._told: list[str] = []
        self._thought: list[str] = []

    @property
    def told(self) -> str:
        """The answer as far as it was sent."""
        return "".join(self._told)

    def _frames(self) -> Iterator[bytes | float | Break]:
        return (frame for frame in super()._frames() if frame != b"")

    def _frame(self, delta: dict[str, Any], reason: str | None = None, *, is_last: bool = False) -> bytes:
        if "role" in delta:
            return b""  # no frame without a text begins the stream
        text = delta.get("content") or delta.get("refusal") or ""
        thought = delta.get("reasoning_content") or ""
        self._told.append(text)
        self._thought.append(thought)
        if self._is_cumulative:
            text, thought = self.told, "".join(self._thought)
        return self._event(self._result(text, thought, reason or "null"))

    def _last_frames(self) -> Iterator[bytes | float | Break]:
        fault = self._fault
        if fault.refusal:  # the review of the answer, which comes when the text is out
            yield self._failure(400, "DataInspectionFailed", "Output data may contain inappropriate content.")
            yield Break("finish")
            return
        final = self._frame({}, self._reason(), is_last=True)
        yield final
        if fault.twice:
            yield final
            yield self._frame({"content": " too late"})
        if fault.usage == "twice":
            yield final
        if fault.null_choices:
            body = self._result("", "", "stop")
            yield self._event({**body, "output": {"choices": None}})
        if fault.linger:
            yield FOR_EVER_S

    def _error_frames(self) -> Iterator[bytes | Break]:
        code = self._fault.code or "InternalError.Algo"
        yield self._failure(500 if code.startswith("Internal") else 400, code, f"An error, key {KEY}")
        yield Break("finish")

    def _thoughts(self) -> Iterable[str]:
        return _THOUGHTS if self._thinks else ()

    def _event(self, data: dict[str, Any] | bytes) -> bytes:
        return self._lines("result", 200, data if isinstance(data, bytes) else orjson.dumps(data))

    def _failure(self, status: int, code: str, message: str) -> bytes:
        body = {"code": code, "message": message, "request_id": REQUEST_ID}
        return self._lines("error", status, orjson.dumps(body))

    def _lines(self, event: str, status: int, data: bytes) -> bytes:
        """One event. The vendor puts no blank behind a field's colon."""
        self._number += 1
        head = (f"id:{self._number}", f"event:{event}", f":HTTP_STATUS/{status}")
        lines = [*(line.encode() for line in head), b"data:" + data, *([] if self._fault.no_blank else [b""])]
        return b"".join(line + self._newline for line in lines)

    def _whole_body(self, text: str, thought: str) -> dict[str, Any]:
        self._told.append(text)
        return self._result(text, thought, self._reason())

    def _result(self, text: str, thought: str, reason: str) -> dict[str, Any]:
        body: dict[str, Any] = {"output": self._output(text, thought, reason)}
        if self._fault.usage != "none":
            body["usage"] = self._counts()
        body["request_id"] = REQUEST_ID
        return body

    def _output(self, text: str, thought: str, reason: str) -> dict[str, Any]:
        if self._session_id:
            output: dict[str, Any] = {"session_id": self._session_id, "finish_reason": reason, "text": text}
            if self._thinks:
                step = {"thought": thought, "response": thought, "action_name": "思考过程", "action": "reasoning"}
                search = {"observation": "[]", "action_type": "agentRag", "thought": "operator's own"}
                output["thoughts"] = [{**step, "action_type": "reasoning"}, search]
            return output
        content: Any = ([{"text": text}] if text else []) if self._sees else text
        message = {"content": content, "role": "assistant"}
        if self._thinks:
            message["reasoning_content"] = thought
        return {"choices": [{"message": message, "finish_reason": reason}]}

    def _counts(self) -> dict[str, Any]:
        counts = self._usage()
        prompt, sold = counts["prompt_tokens"], counts["completion_tokens"]
        if self._session_id:  # an application may ask several models
            several = isinstance(sold, int) and sold > 1
            parts = [(prompt - 1, sold - 1), (1, 1)] if several else [(prompt, sold)]
            models = [{"input_tokens": into, "output_tokens": out, "model_id": "qwen-plus"} for into, out in parts]
            return {"models": models}
        counted = {"total_tokens": counts["total_tokens"], "output_tokens": sold, "input_tokens": prompt}
        return {**counted, "image_tokens": 64} if self._sees else counted
