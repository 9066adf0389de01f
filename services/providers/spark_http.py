"""Spark over its HTTP endpoint, which is OpenAI's shape without a finish reason."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import orjson

from services.events import ReasoningDelta, Stop, TextDelta
from services.providers.answer_reader import AnswerReader
from services.providers.base import ChatRequest
from services.providers.openai_compatible import Answer, OpenAICompatible
from services.providers.spark_faults import SparkFaults
from services.providers.spark_request import max_tokens_of, temperature_of, texts_of
from services.providers.spark_versions import Version
from services.wire.dial import DialSettings

_GOOD = (b'{"code":0,', b'{"code": 0,')


class SparkHttp(OpenAICompatible):
    """Asked with one password in place of a signature. Source: docs/providers/spark.md."""

    name = "spark"

    def __init__(self, settings: DialSettings, *, base_url: str, password: str, faults: SparkFaults) -> None:
        super().__init__(settings, base_url=base_url, api_key=password, faults=faults)
        self._spark_faults = faults

    def ask(self, request: ChatRequest, version: Version) -> Answer:
        """As `ChatProvider.stream`, for a version that is known."""
        max_tokens = max_tokens_of(request, version)
        asked = replace(
            request, model=version.domain, temperature=temperature_of(request), top_p=None, max_tokens=max_tokens
        )
        body = self.body(asked)
        body["messages"] = texts_of(request.messages, version)
        del body["stream_options"]  # the count comes unasked
        return self._ask(self._base_url + version.http_path, body, _Reader(self._spark_faults, max_tokens))


class _Reader(AnswerReader):
    """Looks for the vendor's number first, and takes `[DONE]` as the end when no reason came."""

    __slots__ = ("_limit", "_spark_faults")

    def __init__(self, faults: SparkFaults, max_tokens: int | None) -> None:
        super().__init__(faults.of_frame)
        self._spark_faults = faults
        self._limit = max_tokens

    def read(self, payload: bytes) -> Sequence[TextDelta | ReasoningDelta]:
        if not payload.startswith(_GOOD) and self.reason is None:
            self._look_for_code(payload)
        pieces = super().read(payload)
        if self.is_done and self.reason is None:
            self.reason = "stop"
        return pieces

    def read_whole(self, body: bytes) -> Sequence[TextDelta | ReasoningDelta]:
        pieces = super().read_whole(body)
        self.reason = self.reason or "stop"
        return pieces

    def stop(self) -> Stop:
        stop = super().stop()
        if stop.reason == "stop" and stop.usage and self._limit and stop.usage.completion_tokens >= self._limit:
            return Stop("length", stop.usage)
        return stop

    def _look_for_code(self, payload: bytes) -> None:
        try:
            frame = orjson.loads(payload)
        except orjson.JSONDecodeError:
            return  # the end mark, or what the reader makes of it
        if type(frame) is dict and str(frame.get("code", "0")) != "0":
            raise self._spark_faults.of_frame(frame)
