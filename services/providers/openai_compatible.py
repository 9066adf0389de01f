"""Chat completions in OpenAI's wire shape, as OpenAI and many others speak it."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from contextlib import suppress
from typing import Any, ClassVar

import gevent
import orjson

import config
from services.errors import ContentBlocked, VendorError, VendorOverloaded
from services.events import ReasoningDelta, Stop, TextDelta
from services.providers.answer_reader import AnswerReader
from services.providers.base import ChatMessage, ChatRequest, ModelCard
from services.providers.vendor_faults import FaultMap
from services.wire.dial import DialSettings, check_url
from services.wire.http_client import HttpClient, Response
from services.wire.sse import SseError, SseReader

MAX_ERROR_BYTES = 65_536
MAX_WHOLE_BYTES = 8 * 1_048_576
TAIL_S = 2.0  # after the finish reason: for the token count and the end mark
DRAIN_S = 0.05  # after the end mark: for the last bytes, so that the connection can be used again

Answer = Generator[TextDelta | ReasoningDelta | Stop, None, None]
_Pieces = Generator[TextDelta | ReasoningDelta, None, None]


class OpenAICompatible:
    """The adapter; a vendor's file subclasses it with an address, models and differences.

    Source: docs/providers/openai.md.

    Attributes:
        name: The provider's name.
        own_prefixes: How the names of this vendor's models begin, so that unlisted ones are known to be its own.
    """

    name: ClassVar[str]
    own_prefixes: ClassVar[tuple[str, ...]] = ()

    def __init__(
        self,
        settings: DialSettings,
        *,
        base_url: str,
        api_key: str = "",
        cards: Iterable[ModelCard] = (),
        faults: FaultMap | None = None,
    ) -> None:
        self._base_url = checked_url(base_url, self.name)
        self._api_key = checked_key(api_key, self.name)
        self._cards = tuple(cards)
        self._faults = faults or FaultMap(self.name, secrets=(api_key,) if api_key else ())
        self._http = HttpClient(settings)

    def models(self) -> tuple[ModelCard, ...]:
        return self._cards

    def adopt(self, model_id: str) -> bool:
        if not model_id.startswith(self.own_prefixes):
            return False
        self._cards += (self.card(model_id),)
        return True

    def card(self, model: str) -> ModelCard:
        """What is known of a model by its vendor's name."""
        raise NotImplementedError

    def stream(self, request: ChatRequest) -> Answer:
        return self._ask(self.url(request), self.body(request), AnswerReader(self._faults.of_frame))

    def close(self) -> None:
        self._http.close()

    def url(self, request: ChatRequest) -> str:
        """Where a request goes."""
        return self._base_url + "/chat/completions"

    def headers(self) -> dict[str, str]:
        """Headers of every request."""
        headers = {"Content-Type": "application/json", "Accept": "text/event-stream, application/json"}
        if self._api_key:
            headers["Authorization"] = f"Bearer {self._api_key}"
        return headers

    def body(self, request: ChatRequest) -> dict[str, Any]:
        """The request as the vendor reads it. `request.prefix` is left to vendors that continue."""
        body: dict[str, Any] = {
            "model": request.model,
            "messages": [_message(message) for message in request.messages],
            "stream": True,
            "stream_options": {"include_usage": True},
        }
        if request.temperature is not None:
            body["temperature"] = request.temperature
        if request.top_p is not None:
            body["top_p"] = request.top_p
        if request.max_tokens is not None:
            body["max_tokens"] = request.max_tokens
        return body

    def _ask(self, url: str, body: dict[str, Any], reader: AnswerReader) -> Answer:
        """Send a request and give what comes of it, as `stream` promises."""
        with self._http.request("POST", url, headers=self.headers(), body=orjson.dumps(body)) as response:
            if response.status != 200:
                raise self._faults.of_response(
                    response.status, response.headers, response.read_up_to(MAX_ERROR_BYTES)
                )
            content_type = response.headers.get("content-type", "").lower()
            if content_type.startswith("text/html"):
                raise self._faults.of_page(response.read_up_to(MAX_ERROR_BYTES))
            if content_type.startswith("application/json"):
                yield from reader.read_whole(response.read_up_to(MAX_WHOLE_BYTES))
            else:
                yield from self._follow(response, reader)
        yield reader.stop()

    def _follow(self, response: Response, reader: AnswerReader) -> _Pieces:
        """The hot path: some microseconds a piece, see benchmarks/."""
        sse = SseReader()
        begun = False
        try:
            while reader.reason is None and not reader.is_done:
                chunk = response.read()
                for payload in sse.feed(chunk) if chunk else sse.close():
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
        if reader.reason is not None:
            _read_tail(response, sse, reader)


def _read_tail(response: Response, sse: SseReader, reader: AnswerReader) -> None:
    """Look for the token count behind the finish reason. The answer is whole, so nothing here can spoil it."""
    with gevent.Timeout(TAIL_S, False), suppress(VendorError, SseError):
        while not reader.is_done and (chunk := response.read()):
            for payload in sse.feed(chunk):
                reader.read(payload)
        if reader.is_done:
            response.drain(DRAIN_S)


def checked_url(base_url: str, vendor: str) -> str:
    """A base URL without its last slash; `config.ConfigError` when it is none."""
    if not check_url(base_url):
        raise config.ConfigError(f"{vendor.upper()}_BASE_URL must be an http:// or https:// address.")
    return base_url.rstrip("/")


def checked_key(api_key: str, vendor: str) -> str:
    """A key that fits in a header; `config.ConfigError` when it does not."""
    if not (api_key.isascii() and api_key.isprintable()) or " " in api_key:
        raise config.ConfigError(f"{vendor.upper()}_API_KEY holds letters that no key has.")
    return api_key


def _message(message: ChatMessage) -> dict[str, Any]:
    if not message.pictures:
        return {"role": message.role, "content": message.text}
    parts: list[dict[str, Any]] = [{"type": "text", "text": message.text}] if message.text else []
    parts += [{"type": "image_url", "image_url": {"url": picture}} for picture in message.pictures]
    return {"role": message.role, "content": parts}
