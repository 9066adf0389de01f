"""Spark over its signed WebSocket: one connection, one request and one answer."""

from __future__ import annotations

import logging
from typing import Any

import orjson

from services.clock import Clock
from services.errors import ContentBlocked, VendorOverloaded
from services.providers.base import ChatRequest
from services.providers.openai_compatible import Answer
from services.providers.spark_answer import SparkAnswer
from services.providers.spark_faults import SparkFaults
from services.providers.spark_request import UserIds, max_tokens_of, temperature_of, texts_of
from services.providers.spark_versions import Version
from services.wire.dial import DialSettings
from services.wire.iflytek_signature import signed_url, skew_s
from services.wire.websocket_client import HandshakeRefusedError, WebSocket, WebSocketClient

log = logging.getLogger(__name__)

SKEW_TOLD_S = 60.0  # beyond it the log warns: at five minutes the vendor refuses


class SparkSocket:
    """Asks at `base_url` + the version's path. Source: docs/providers/spark.md."""

    def __init__(
        self,
        settings: DialSettings,
        *,
        base_url: str,
        app_id: str,
        api_key: str,
        api_secret: str,
        faults: SparkFaults,
        clock: Clock,
    ) -> None:
        self._base_url = base_url
        self._app_id, self._api_key, self._api_secret = app_id, api_key, api_secret
        self._faults = faults
        self._clock = clock
        self._client = WebSocketClient(settings)
        self._users = UserIds()

    def stream(self, request: ChatRequest, version: Version) -> Answer:
        """As `ChatProvider.stream`, for a version that is known."""
        answer = SparkAnswer(self._faults.of_code, max_tokens_of(request, version))
        with self._users.lend(request.user) as uid:
            body = orjson.dumps(self._body(request, version, uid))
            with self._open(version) as socket:
                socket.send(body)
                try:
                    while not answer.is_over:
                        messages = socket.receive()
                        if not messages:
                            raise VendorOverloaded("The answer broke off.")
                        for message in messages:  # the hot path: some microseconds a piece
                            yield from answer.read(message)
                except ContentBlocked:
                    if not answer.begun:
                        raise
                    answer.block()
        log.debug("spark answered sid=%.80s", answer.sid)
        yield answer.stop()

    def close(self) -> None:
        """No connection outlives its answer."""

    def _open(self, version: Version) -> WebSocket:
        url = signed_url(
            self._base_url + version.path, api_key=self._api_key, api_secret=self._api_secret, clock=self._clock
        )
        try:
            socket = self._client.open(url)
        except HandshakeRefusedError as refused:
            raise self._faults.of_handshake(refused) from None  # its traceback would show the signed address
        skew = skew_s(socket.headers.get("date", ""), self._clock)
        if skew is not None and abs(skew) > SKEW_TOLD_S:
            log.warning("this server's clock is %d seconds off Spark's: set it before Spark refuses", abs(skew))
        return socket

    def _body(self, request: ChatRequest, version: Version, uid: str) -> dict[str, Any]:
        header = {"app_id": self._app_id} | ({"uid": uid} if uid else {})
        chat: dict[str, Any] = {"domain": version.domain}
        if (temperature := temperature_of(request)) is not None:
            chat["temperature"] = temperature
        if (max_tokens := max_tokens_of(request, version)) is not None:
            chat["max_tokens"] = max_tokens
        return {
            "header": header,
            "parameter": {"chat": chat},
            "payload": {"message": {"text": texts_of(request.messages, version)}},
        }
