"""Spark's frames, as the vendor sends them. Pure."""

from __future__ import annotations

from typing import Any

import orjson

from services.events import Usage


class Frames:
    """The frames of one answer: numbered from 0 without a gap, status 0 on the first, 1 between, 2 on the last."""

    def __init__(self, sid: str) -> None:
        self._sid = sid
        self._seq = 0

    def text(self, text: str) -> bytes:
        """New text."""
        return self._frame(0 if self._seq == 0 else 1, {"content": text})

    def reasoning(self, text: str) -> bytes:
        """What a reasoning model thinks before it speaks."""
        return self._frame(0 if self._seq == 0 else 1, {"content": "", "reasoning_content": text})

    def last(self, usage: Usage, question_tokens: int) -> bytes:
        """The end of a good answer: no text, and what it cost."""
        spent = {
            "question_tokens": question_tokens,
            "prompt_tokens": usage.prompt_tokens,
            "completion_tokens": usage.completion_tokens,
            "total_tokens": usage.total_tokens,
        }
        return self._frame(2, {"content": ""}, {"text": spent})

    def _frame(self, status: int, said: dict[str, str], usage: dict[str, Any] | None = None) -> bytes:
        text = {**said, "role": "assistant", "index": 0}
        payload: dict[str, Any] = {"choices": {"status": status, "seq": self._seq, "text": [text]}}
        if usage is not None:
            payload["usage"] = usage
        self._seq += 1
        return orjson.dumps({"header": _header(0, "Success", self._sid, status), "payload": payload})


def error(code: int, message: str, sid: str) -> bytes:
    """The end of an answer that failed, or never began: no payload."""
    return orjson.dumps({"header": _header(code, message, sid, 2)})


def _header(code: int, message: str, sid: str, status: int) -> dict[str, Any]:
    return {"code": code, "message": message, "sid": sid, "status": status}
