"""An answer in Spark's frames, as events. Pure."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Sequence
from typing import Any, Literal

import orjson

from services.errors import VendorError, VendorOverloaded
from services.events import ReasoningDelta, Stop, TextDelta, Usage
from services.providers.answer_reader import usage_of

log = logging.getLogger(__name__)

_LAST = 2
_NOTHING: tuple[()] = ()
_EMPTY: dict[str, Any] = {}
_UNREADABLE = "The model's provider sent an answer that cannot be read."

Fault = Callable[[int, str, str], VendorError]


class SparkAnswer:
    """Reads the messages of one WebSocket. What stands after the last frame is dropped.

    Frames are numbered: one that comes a second time is dropped, and when one is missing the answer has broken off.

    Attributes:
        begun: A piece has come.
        is_over: The last frame has come.
        sid: The vendor's name for this answer, which its support asks for.
    """

    __slots__ = ("_fault", "_latest", "_limit", "_reason", "_seq", "_usage", "begun", "is_over", "sid")

    def __init__(self, fault: Fault, max_tokens: int | None) -> None:
        """`fault` makes an error of a header's code, message and sid; `max_tokens` is what was asked for."""
        self.begun = False
        self.is_over = False
        self.sid = ""
        self._fault = fault
        self._limit = max_tokens
        self._usage: Usage | None = None
        self._reason: Literal["stop", "content_filter"] = "stop"
        self._seq = -1
        self._latest = ("", "")

    def read(self, message: bytes) -> Sequence[TextDelta | ReasoningDelta]:
        """The pieces of one message, in order; mostly one.

        Raises:
            VendorError: The vendor reports an error, a frame is missing, or what it sends cannot be read.
        """
        if self.is_over:
            return _NOTHING
        is_mended = False
        try:
            frame = orjson.loads(message)
        except orjson.JSONDecodeError:
            frame, is_mended = _mended(message), True
        try:
            header = frame["header"]
            if header["code"] != 0:
                self._refuse(header)
            payload = frame.get("payload") or {}
            choices = payload.get("choices") or {}
            if header.get("status") == _LAST or choices.get("status") == _LAST:
                self.is_over = True
                self.sid = str(header.get("sid", ""))
            if (usage := payload.get("usage")) is not None:
                self._usage = usage_of(usage.get("text"))  # its question_tokens are the last question's alone
            return self._pieces(choices, is_mended=is_mended)
        except (KeyError, AttributeError, TypeError, ValueError) as error:
            raise VendorOverloaded(_UNREADABLE) from error

    def block(self) -> None:
        """The vendor's review stopped the answer in the middle: what was shown stays."""
        self.is_over = True
        self._reason = "content_filter"
        self._usage = None

    def stop(self) -> Stop:
        """The answer's end. The vendor gives no reason: an answer as long as was allowed has been cut."""
        usage = self._usage
        if usage is not None and self.begun and not usage.completion_tokens:
            usage = None  # text for no tokens: the count is not to be believed
        if self._reason == "stop" and usage and self._limit and usage.completion_tokens >= self._limit:
            return Stop("length", usage)
        return Stop(self._reason, usage)

    def _pieces(self, choices: dict[str, Any], *, is_mended: bool) -> Sequence[TextDelta | ReasoningDelta]:
        texts = choices.get("text")
        first = texts[0] if texts else _EMPTY
        text, thought = first.get("content"), first.get("reasoning_content")
        if type(text) is not str:
            text = ""
        if type(thought) is not str:
            thought = ""
        if not self._follows(choices.get("seq"), text, thought):
            return _NOTHING
        if is_mended:
            text, thought = _clean(text), _clean(thought)
        if not thought:
            if not text:
                return _NOTHING
            self.begun = True
            return (TextDelta(text),)
        self.begun = True
        return (ReasoningDelta(thought), TextDelta(text)) if text else (ReasoningDelta(thought),)

    def _follows(self, seq: Any, text: str, thought: str) -> bool:
        """Whether a frame is the next one, not one that came before."""
        if type(seq) is not int:
            return True
        expected = self._seq + 1
        if seq == expected:
            self._seq, self._latest = seq, (text, thought)
            return True
        if seq > expected:
            raise VendorOverloaded("A part of the answer is missing.")
        if (not text and not thought) or self._latest == (text, thought):
            return False
        raise VendorOverloaded("The parts of the answer are out of order.")

    def _refuse(self, header: dict[str, Any]) -> None:
        code = int(header["code"])  # the HTTP endpoint writes some of its numbers as text
        if code:
            raise self._fault(code, str(header.get("message", "")), str(header.get("sid", "")))


def _mended(message: bytes) -> Any:
    """JSON that is not quite: bytes that are no UTF-8, halves of surrogate pairs."""
    try:
        frame = json.loads(message.decode("utf-8", "replace"))
    except (ValueError, RecursionError):
        raise VendorOverloaded(_UNREADABLE) from None
    log.warning("a frame of Spark with broken text was repaired")
    return frame


def _clean(text: str) -> str:
    """Text without lone surrogates, which no encoder takes."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
