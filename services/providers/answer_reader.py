"""An answer in OpenAI's wire shape, frame by frame, as events. Pure."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Sequence
from typing import Any, Literal

import orjson

from services.errors import VendorError, VendorOverloaded
from services.events import ReasoningDelta, Stop, TextDelta, Usage

log = logging.getLogger(__name__)

MAX_TOKENS_BELIEVED = 10_000_000  # no model has such a window; a count beyond it is a fault

_REASONS: dict[str, Literal["stop", "length", "content_filter"]] = {
    "stop": "stop",
    "length": "length",
    "content_filter": "content_filter",
    "tool_calls": "stop",  # no tools are offered; a model that calls one anyway has ended its text
    "function_call": "stop",
}
_BROKEN = frozenset({"insufficient_system_resource", "abort", "error"})
_NOTHING: tuple[()] = ()


class AnswerReader:
    """Reads the `data` of server-sent events. One answer each; what stands after its end is dropped.

    Attributes:
        reason: Why the answer ended, once the vendor has said so. An answer without it is broken, whatever came last.
        is_done: `[DONE]` has come.
    """

    __slots__ = ("_begun", "_fault", "_is_repaired", "_refused", "_usage", "is_done", "reason")

    def __init__(self, fault: Callable[[dict[str, Any]], VendorError]) -> None:
        """`fault` makes an error of a frame that holds the vendor's."""
        self.reason: Literal["stop", "length", "content_filter"] | None = None
        self.is_done = False
        self._fault = fault
        self._usage: Usage | None = None
        self._begun = False
        self._refused = False
        self._is_repaired = False

    def read(self, payload: bytes) -> Sequence[TextDelta | ReasoningDelta]:
        """The pieces of one event, in order; mostly one.

        Raises:
            VendorError: The vendor reports an error, or what it sends cannot be read.
        """
        try:
            frame = orjson.loads(payload)
        except orjson.JSONDecodeError:
            if payload.strip() == b"[DONE]":
                self.is_done = True
                return _NOTHING
            if b"\n" in payload:  # a server that forgot the blank lines between its events
                return [piece for line in payload.split(b"\n") if line for piece in self.read(line)]
            frame = self._repaired(payload)
        if type(frame) is not dict:
            return _NOTHING
        if frame.get("error") or frame.get("object") == "error":
            if self.reason is None:
                raise self._fault(frame)
            return _NOTHING
        if usage := frame.get("usage"):
            self._usage = usage_of(usage)
        choices = frame.get("choices")
        if not choices or type(choices) is not list or self.reason is not None:
            return _NOTHING
        choice = choices[0]
        if type(choice) is not dict:
            return _NOTHING
        delta = choice.get("delta")
        pieces = self._pieces(delta) if type(delta) is dict else _NOTHING
        if finish := choice.get("finish_reason"):
            self._finish(finish)
        return pieces

    def read_whole(self, body: bytes) -> Sequence[TextDelta | ReasoningDelta]:
        """An answer that was not streamed, though a stream was asked for."""
        try:
            frame = orjson.loads(body)
            for choice in frame.get("choices") or ():
                choice["delta"] = choice.get("message")
        except (orjson.JSONDecodeError, AttributeError, TypeError):
            raise VendorOverloaded("The model's provider sent an answer that cannot be read.") from None
        return self.read(orjson.dumps(frame))

    def stop(self) -> Stop:
        """The answer's end.

        Raises:
            VendorOverloaded: No finish reason has come: the answer broke off.
        """
        if self.reason is None:
            raise VendorOverloaded("The answer broke off.")
        usage = self._usage
        if usage is not None and self._begun and not usage.completion_tokens:
            usage = None  # text for no tokens: the count is not to be believed
        return Stop(self.reason, usage)

    def _pieces(self, delta: dict[str, Any]) -> Sequence[TextDelta | ReasoningDelta]:
        text = delta.get("content")
        thought = delta.get("reasoning_content") or delta.get("reasoning")
        if not thought and "refusal" not in delta:
            if not text or type(text) is not str:
                return _NOTHING
            self._begun = True
            return (TextDelta(self._clean(text)),) if self._is_repaired else (TextDelta(text),)
        pieces: list[TextDelta | ReasoningDelta] = []
        if thought and type(thought) is str:
            pieces.append(ReasoningDelta(self._clean(thought)))
        if text and type(text) is str:
            pieces.append(TextDelta(self._clean(text)))
        refusal = delta.get("refusal")
        if refusal and type(refusal) is str:
            self._refused = True
            pieces.append(TextDelta(self._clean(refusal)))
        self._begun = self._begun or bool(pieces)
        return pieces

    def _finish(self, finish: Any) -> None:
        if finish == "null":  # some of DashScope's models say it in letters
            return
        finish = str(finish)
        if finish in _BROKEN:
            raise VendorOverloaded("The model's provider could not finish the answer.")
        if finish not in _REASONS:
            log.warning("unknown finish reason %.40r taken as the end", finish)
        self.reason = "content_filter" if self._refused else _REASONS.get(finish, "stop")

    def _repaired(self, payload: bytes) -> Any:
        """JSON that is not quite: bytes that are no UTF-8, halves of surrogate pairs, NaN."""
        try:
            frame = json.loads(payload.decode("utf-8", "replace"))
        except (ValueError, RecursionError):
            if self.reason is not None:
                return None  # behind the end nothing matters
            raise VendorOverloaded("The model's provider sent an answer that cannot be read.") from None
        if not self._is_repaired:
            log.warning("a frame with broken text was repaired; more of this answer are not told")
        self._is_repaired = True
        return frame

    def _clean(self, text: str) -> str:
        """Text without lone surrogates, which no encoder takes."""
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace") if self._is_repaired else text


def usage_of(raw: Any) -> Usage | None:
    """The vendor's count; None when it cannot be true."""
    if type(raw) is not dict:
        return None
    prompt, completion = _count_of(raw.get("prompt_tokens")), _count_of(raw.get("completion_tokens"))
    if prompt and completion is not None:
        return Usage(prompt, completion)
    log.warning("a vendor's token count was not believed")
    return None


def _count_of(value: Any) -> int | None:
    return value if type(value) is int and 0 <= value <= MAX_TOKENS_BELIEVED else None
