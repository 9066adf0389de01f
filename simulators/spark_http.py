"""The HTTP twin of simulated Spark: OpenAI's shape with numbers, no space after `data:` and no finish reason."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from simulators.faults import Fault
from simulators.loopback import Call
from simulators.openai_answer import DIALECTS, FOR_EVER_S, Answer, Break

FAULT_WORDS = "Simulated fault for sk-simulated"
THOUGHTS = ("先", "想一想", "，再", "回答", "。")


class SparkHttpAnswer(Answer):
    """One answer. The number of an error inside the stream is the script's `code`."""

    def __init__(self, call: Call, fault: Fault, *, sid: str) -> None:
        super().__init__(DIALECTS["openai"], call.request.path, call, fault)
        self._sid = sid

    def _envelope(self) -> dict[str, Any]:
        return {"code": 0, "message": "Success", "sid": self._sid, "id": self._sid, "created": 1_700_000_000}

    def _thoughts(self) -> Iterable[str]:
        return THOUGHTS if self._model == "spark-x" else ()

    def _frame(self, delta: dict[str, Any], reason: str | None = None, *, is_last: bool = False) -> bytes:
        frame = self._envelope()
        frame["choices"] = [{"delta": {"role": "assistant", **delta}, "index": 0}]
        if (is_last and self._fault.usage != "none") or self._fault.usage in ("all", "twice"):
            frame["usage"] = self._usage()
        return self._event(frame)

    def _event(self, data: dict[str, Any] | bytes) -> bytes:
        return super()._event(data).replace(b"data: ", b"data:", 1)

    def _last_frames(self) -> Iterator[bytes | float]:
        fault = self._fault
        final = self._frame({"content": ""}, is_last=True)
        yield final
        if fault.twice:
            yield final
        if not fault.no_done:
            yield self._event(b"[DONE]")
        if fault.twice:
            yield self._frame({"content": " too late"})
        if fault.linger:
            yield FOR_EVER_S

    def _error_frames(self) -> Iterator[bytes | Break]:
        code = int(self._fault.code or 10012)
        yield self._event({"code": code, "message": f"EngineInternalError:({FAULT_WORDS})", "sid": self._sid})
        yield Break("finish")

    def _whole_body(self, text: str, thoughts: str) -> dict[str, Any]:
        message = {"role": "assistant", "content": text}
        return {**self._envelope(), "choices": [{"message": message, "index": 0}], "usage": self._usage()}
