"""Picture understanding of Spark (讯飞星火图片理解): a signed WebSocket, one request and one streamed answer."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import orjson

import config
from services.cleaning import clean
from services.clock import Clock, SystemClock
from services.errors import VendorOverloaded, VendorRefused
from services.events import Stop, TextDelta, Usage
from services.ocr.base import TASKS, AttemptClock, ReaderCard, ReaderSpec, Reading, ReadRequest
from services.ocr.iflytek_codes import fault_of
from services.ocr.prompts import question_of
from services.wire.dial import DialSettings, check_url
from services.wire.iflytek_signature import signed_url
from services.wire.websocket_client import HandshakeRefusedError, WebSocket, WebSocketClient

MAX_BYTES = 4_000_000
MAX_SIDE = 5_999
MAX_TOKENS = 4_096


@dataclass(frozen=True, slots=True)
class SparkPictureSettings(DialSettings):
    """Picture understanding of Spark."""

    app_id: str = config.setting("", "APPID of Spark; needs the key and the secret too.", env="SPARK_APP_ID")
    api_key: str = config.setting("", "APIKey of Spark.", env="SPARK_API_KEY", secret=True)
    api_secret: str = config.setting("", "APISecret of Spark.", env="SPARK_API_SECRET", secret=True)
    picture_url: str = config.setting(
        "wss://spark-api.cn-huabei-1.xf-yun.com/v2.1/image",
        "Address of Spark's picture understanding, for a mirror.",
        env="SPARK_PICTURE_URL",
    )
    picture_domain: str = config.setting(
        "imagev3", "Which picture understanding of Spark is asked.", env="SPARK_PICTURE_DOMAIN",
        choices=("imagev3", "general"),
    )  # fmt: skip


class SparkPicture:
    """Reads and describes. Source: docs/pictures.md."""

    def __init__(self, settings: SparkPictureSettings, clock: Clock | None = None) -> None:
        if not check_url(settings.picture_url, ("ws", "wss")):
            raise config.ConfigError("SPARK_PICTURE_URL must be a ws:// or wss:// address.")
        self._settings = settings
        self._clock = clock or SystemClock()
        self._client = WebSocketClient(settings)
        self._card = ReaderCard(
            id="spark-picture",
            name="Spark 星火图片理解",
            provider="spark",
            vendor_model=settings.picture_domain,
            tasks=TASKS,
            available=bool(settings.app_id and settings.api_key and settings.api_secret),
            max_bytes=MAX_BYTES,
            max_side=MAX_SIDE,
        )

    def readers(self) -> tuple[ReaderCard, ...]:
        return (self._card,)

    def read(self, request: ReadRequest, clock: AttemptClock) -> Reading:
        usage: Usage | None = None
        with self._open() as socket:
            socket.send(orjson.dumps(self._body(request)))
            for text, told in _frames(socket):
                usage = told or usage
                if text:
                    yield TextDelta(text)
        limited = usage is not None and usage.completion_tokens >= MAX_TOKENS
        result: dict[str, Any] | None = {"regions": []} if request.task == "ocr" else None
        yield Stop("length" if limited else "stop", usage, result)

    def close(self) -> None:
        """No connection outlives its answer."""

    def _open(self) -> WebSocket:
        settings = self._settings
        url = signed_url(
            settings.picture_url, api_key=settings.api_key, api_secret=settings.api_secret, clock=self._clock
        )
        try:
            return self._client.open(url)
        except HandshakeRefusedError as refused:  # its traceback would show the signed address
            if refused.status >= 500 or refused.status == 429:
                raise VendorOverloaded("The reader's provider is busy or broken.") from None
            raise VendorRefused("The reader's provider did not accept this server's key.") from None

    def _body(self, request: ReadRequest) -> dict[str, Any]:
        picture = base64.b64encode(request.data).decode()
        uid = hashlib.sha256(request.user.encode()).hexdigest()[:32]
        return {
            "header": {"app_id": self._settings.app_id, "uid": uid},
            "parameter": {"chat": {"domain": request.model, "temperature": 0.5, "top_k": 4, "max_tokens": MAX_TOKENS}},
            "payload": {
                "message": {
                    "text": [
                        {"role": "user", "content": picture, "content_type": "image"},
                        {"role": "user", "content": question_of(request), "content_type": "text"},
                    ]
                }
            },
        }


def _frames(socket: WebSocket) -> Iterator[tuple[str, Usage | None]]:
    """Text and usage of each frame, up to the one that says it is the last.

    Raises:
        VendorError: A number other than 0, a frame missing, or the end before the last one.
    """
    expected = 0
    while messages := socket.receive():
        for message in messages:
            try:
                frame = orjson.loads(message)
                header = frame["header"]
                if header["code"]:
                    raise fault_of("spark picture", int(header["code"]), str(header.get("sid", "")))
                choices = frame["payload"]["choices"]
                text = "".join(str(part.get("content") or "") for part in choices["text"])
                usage = _usage(frame["payload"].get("usage"))
                in_order, is_last = choices.get("seq", expected) == expected, choices["status"] == 2
            except (orjson.JSONDecodeError, KeyError, TypeError, ValueError, AttributeError) as error:
                raise VendorOverloaded("The reader's provider sent an answer that cannot be read.") from error
            if not in_order:
                raise VendorOverloaded("The answer broke off.")
            yield clean(text), usage
            expected += 1
            if is_last:
                return
    raise VendorOverloaded("The answer broke off.")


def _usage(told: Any) -> Usage | None:
    if not isinstance(told, dict) or not isinstance(counts := told.get("text"), dict):
        return None
    prompt, completion = counts.get("prompt_tokens"), counts.get("completion_tokens")
    if not isinstance(prompt, int) or not isinstance(completion, int) or min(prompt, completion) < 0:
        return None
    return Usage(prompt, completion)


SPEC = ReaderSpec(name="spark", settings=SparkPictureSettings, prefix="SPARK", build=SparkPicture, order=60)
