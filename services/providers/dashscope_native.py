"""DashScope's own protocol: one streamed call, and how a conversation is written for it."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Mapping
from contextlib import suppress
from typing import Any

import gevent
import orjson

from services.errors import ContentBlocked, VendorError, VendorOverloaded
from services.events import ReasoningDelta, Stop, TextDelta
from services.providers.base import ChatMessage, ChatRequest
from services.providers.dashscope_faults import DashScopeFaults
from services.providers.dashscope_reader import DashScopeReader
from services.wire.dial import DialSettings
from services.wire.http_client import HttpClient, Response
from services.wire.sse import SseError

MAX_ERROR_BYTES = 65_536
MAX_WHOLE_BYTES = 8 * 1_048_576
TAIL_S = 0.05  # after the finish reason, which is in the last frame: for the last bytes only

TEXT_PATH = "/services/aigc/text-generation/generation"
SEEING_PATH = "/services/aigc/multimodal-generation/generation"

Answer = Generator[TextDelta | ReasoningDelta | Stop, None, None]
_Pieces = Generator[TextDelta | ReasoningDelta, None, None]


class DashScopeNative:
    """Calls over HTTP with server-sent events. Any number of greenlets may call at once.

    Source: docs/providers/qwen.md.
    """

    def __init__(
        self, settings: DialSettings, *, base_url: str, headers: Mapping[str, str], faults: DashScopeFaults
    ) -> None:
        """`headers` are the key's and the workspace's."""
        self._base_url = base_url
        self._faults = faults
        self._headers = {
            "Content-Type": "application/json",
            "Accept": "text/event-stream",
            "X-DashScope-SSE": "enable",  # this, not the body, asks for a stream
            **headers,
        }
        self._http = HttpClient(settings)

    def stream(self, request: ChatRequest) -> Answer:
        """An answer of a Qwen model; the contract is `ChatProvider.stream`."""
        sees = sees_pictures(request.model) or any(message.pictures for message in request.messages)
        messages = [_seen(message) if sees else _written(message) for message in alternating(request.messages)]
        if request.prefix:  # a model does not think while it continues
            content = [{"text": request.prefix}] if sees else request.prefix
            messages.append({"role": "assistant", "content": content, "partial": True})
        parameters: dict[str, Any] = {"incremental_output": True, **sampling(request)}
        if not sees:
            parameters["result_format"] = "message"
        if request.max_tokens is not None:
            parameters["max_tokens"] = request.max_tokens
        body = {"model": request.model, "input": {"messages": messages}, "parameters": parameters}
        return self.call(SEEING_PATH if sees else TEXT_PATH, body)

    def call(self, path: str, body: dict[str, Any], reader: DashScopeReader | None = None) -> Answer:
        """Any streamed call. A `reader` that is given can be asked about the answer while it comes."""
        reader = reader or self.reader()
        url = self._base_url + path
        with self._http.request("POST", url, headers=self._headers, body=orjson.dumps(body)) as response:
            if response.status != 200:
                raise self._faults.of_response(response.status, response.headers, response.read_up_to(MAX_ERROR_BYTES))
            content_type = response.headers.get("content-type", "").lower()
            if content_type.startswith("text/html"):
                raise self._faults.of_page(response.read_up_to(MAX_ERROR_BYTES))
            if content_type.startswith("application/json"):
                yield from reader.read_whole(response.read_up_to(MAX_WHOLE_BYTES))
            else:
                yield from _follow(response, reader)
        yield reader.stop()

    def reader(self) -> DashScopeReader:
        """A reader of one answer."""
        return DashScopeReader(self._faults.of_event)

    def close(self) -> None:
        self._http.close()


def _follow(response: Response, reader: DashScopeReader) -> _Pieces:
    """The hot path."""
    events = reader.events
    begun = False
    try:
        while reader.reason is None:
            chunk = response.read()
            for payload in events.feed(chunk) if chunk else events.close():
                for piece in reader.read(payload):
                    begun = True
                    yield piece
            if not chunk:
                return
    except SseError as error:
        raise VendorOverloaded("The model's provider sent an answer that cannot be read.") from error
    except ContentBlocked:
        if not begun:
            raise
        reader.reason = "content_filter"  # stopped in the middle: what was shown stays
        return
    with gevent.Timeout(TAIL_S, False), suppress(VendorError, SseError):  # the answer is whole: nothing can spoil it
        while chunk := response.read():
            for payload in events.feed(chunk):
                reader.read(payload)


def sees_pictures(model: str) -> bool:
    """Whether a model is one that DashScope serves at its multimodal address."""
    return "-vl" in model or model.startswith("qvq")


def sampling(request: ChatRequest) -> dict[str, Any]:
    """The parameters that models and applications share."""
    wishes = {"temperature": request.temperature, "top_p": request.top_p}
    return {name: value for name, value in wishes.items() if value is not None}


def alternating(messages: Iterable[ChatMessage]) -> list[ChatMessage]:
    """Messages with neighbours of one role joined: DashScope wants question and answer in turn.

    Two questions in a row are left when the answer between them failed.
    """
    joined: list[ChatMessage] = []
    for message in messages:
        if joined and joined[-1].role == message.role:
            before = joined.pop()
            text = "\n\n".join(filter(None, (before.text, message.text)))
            joined.append(ChatMessage(message.role, text, before.pictures + message.pictures))
        else:
            joined.append(message)
    return joined


def _written(message: ChatMessage) -> dict[str, Any]:
    return {"role": message.role, "content": message.text}


def _seen(message: ChatMessage) -> dict[str, Any]:
    """A message as models that see are given it: always a list, pictures first."""
    parts = [{"image": picture} for picture in message.pictures]
    return {"role": message.role, "content": [*parts, {"text": message.text}] if message.text else parts}
