"""An answer in DashScope's own wire shape, frame by frame, as events. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import orjson

from services.errors import VendorError
from services.events import ReasoningDelta, Stop, TextDelta
from services.providers.answer_reader import AnswerReader, usage_of
from services.providers.dashscope_increments import Increments
from services.wire.sse import SseReader

_NOTHING: tuple[()] = ()
_STATUS = b":HTTP_STATUS/"


class DashScopeEvents(SseReader):
    """Server-sent events with the status that DashScope writes as a comment: the true one of an answer that failed.

    Attributes:
        status: The last one told; 0 before the first.
    """

    __slots__ = ("status",)

    def __init__(self) -> None:
        super().__init__()
        self.status = 0

    def _line(self, line: bytes, found: list[bytes]) -> None:
        if line[: len(_STATUS)] == _STATUS:
            digits = line[len(_STATUS) :].strip()
            self.status = int(digits) if digits.isdigit() and len(digits) == 3 else 0
        else:
            super()._line(line, found)


class DashScopeReader(AnswerReader):
    """Reads the `data` of events of text generation, of models that see, and of applications.

    Source: docs/providers/qwen.md.

    Attributes:
        events: Cuts the bytes of this answer.
        session_id: The application's session as the last frame named it; empty for none.
    """

    __slots__ = ("_counts", "_text", "_thoughts", "events", "session_id")

    def __init__(self, fault: Callable[[dict[str, Any], int], VendorError]) -> None:
        """`fault` makes an error of a frame that holds the vendor's, and of its status."""
        events = DashScopeEvents()
        super().__init__(lambda frame: fault(frame, events.status))
        self.events = events
        self.session_id = ""
        self._counts: Any = None
        self._text, self._thoughts = Increments(), Increments()

    def read(self, payload: bytes) -> Sequence[TextDelta | ReasoningDelta]:
        try:
            frame = orjson.loads(payload)
        except orjson.JSONDecodeError:
            if b"\n" in payload:  # a server that forgot the blank lines between its events
                return [piece for line in payload.split(b"\n") if line for piece in self.read(line)]
            frame = self._repaired(payload)
        if type(frame) is not dict:
            return _NOTHING
        if counts := frame.get("usage"):
            self._counts = counts  # on every frame, of all so far: the last one counts
        output = frame.get("output")
        if type(output) is not dict:
            if self.reason is None and ("code" in frame or "error" in frame):
                raise self._fault(frame)
            return _NOTHING
        return _NOTHING if self.reason is not None else self._read_output(output)

    def read_whole(self, body: bytes) -> Sequence[TextDelta | ReasoningDelta]:
        return self.read(body)

    def stop(self) -> Stop:
        if self._counts is not None:
            self._usage = usage_of(_in_openais_words(self._counts))
        return super().stop()

    def _read_output(self, output: dict[str, Any]) -> Sequence[TextDelta | ReasoningDelta]:
        choices = output.get("choices")
        if choices and type(choices) is list and type(choices[0]) is dict:
            finish = choices[0].get("finish_reason")
            message = choices[0].get("message")
            text, thought = _of_message(message) if type(message) is dict else ("", "")
        else:
            finish = output.get("finish_reason")
            text, thought = output.get("text"), _of_thoughts(output.get("thoughts"))
            if type(session_id := output.get("session_id")) is str:
                self.session_id = session_id
        pieces: list[TextDelta | ReasoningDelta] = []
        if thought and type(thought) is str and (new := self._thoughts.feed(thought, self._tokens(self._thoughts))):
            pieces.append(ReasoningDelta(self._clean(new)))
        if text and type(text) is str:
            if waiting := self._thoughts.end():
                pieces.append(ReasoningDelta(self._clean(waiting)))
            if new := self._text.feed(text, self._tokens(self._text)):
                pieces.append(TextDelta(self._clean(new)))
        if finish:
            self._finish(finish)
            if self.reason is not None:
                self._release(pieces)
        self._begun = self._begun or bool(pieces)
        return pieces

    def _release(self, pieces: list[TextDelta | ReasoningDelta]) -> None:
        """Add what waited for the end."""
        if waiting := self._thoughts.end():
            pieces.append(ReasoningDelta(self._clean(waiting)))
        if waiting := self._text.end():
            pieces.append(TextDelta(self._clean(waiting)))

    def _tokens(self, increments: Increments) -> int:
        if increments.is_new:
            return 0  # not asked for any more
        counts = _in_openais_words(self._counts)
        tokens = counts["completion_tokens"] if counts else 0
        return tokens if type(tokens) is int else 0


def _of_message(message: dict[str, Any]) -> tuple[Any, Any]:
    """Text and thoughts. Models that see answer in a list of parts, empty at the end."""
    content = message.get("content")
    if type(content) is list:
        content = "".join(str(part.get("text") or "") for part in content if type(part) is dict)
    return content, message.get("reasoning_content")


def _of_thoughts(thoughts: Any) -> str:
    """What an application's model thought; its look-ups and tool calls are the operator's own."""
    if type(thoughts) is not list:
        return ""
    return "".join(
        str(thought.get("thought") or "")
        for thought in thoughts
        if type(thought) is dict and thought.get("action_type") == "reasoning"
    )


def _in_openais_words(counts: Any) -> dict[str, Any] | None:
    """A count under the names of OpenAI's; of an application the sum over its models."""
    if type(counts) is not dict:
        return None
    models = counts.get("models")
    if type(models) is not list:
        return {"prompt_tokens": counts.get("input_tokens"), "completion_tokens": counts.get("output_tokens")}
    try:
        return {
            "prompt_tokens": sum(model["input_tokens"] for model in models),
            "completion_tokens": sum(model["output_tokens"] for model in models),
        }
    except (TypeError, KeyError):
        return None
