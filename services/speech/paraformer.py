"""Realtime recognition of DashScope (Alibaba Cloud Model Studio, 百炼): paraformer and fun-asr."""

from __future__ import annotations

from dataclasses import dataclass

import config
from services.errors import VendorError
from services.speech.base import Audio, Heard, SpeechCard, SpeechRequest, SpeechSpec
from services.speech.paraformer_codes import of_handshake
from services.speech.paraformer_task import Limits, Task
from services.wire.dial import DialSettings, check_url
from services.wire.websocket_client import HandshakeRefusedError, WebSocket, WebSocketClient

OPENINGS = 2

_KNOWN = {
    "paraformer-realtime-v2": ("Paraformer", ("zh", "en", "ja", "ko", "de", "fr", "ru"), (16_000, 8_000)),
    "paraformer-realtime-8k-v2": ("Paraformer 8k", ("zh",), (8_000,)),
    "fun-asr-realtime": ("Fun-ASR", ("zh", "en", "ja"), (16_000,)),
}


@dataclass(frozen=True, slots=True)
class ParaformerSettings(DialSettings):
    """Address and models of DashScope's realtime recognition."""

    api_key: str = config.setting(
        "", "Key of DashScope, for Qwen; API_KEY is read too.", env="DASHSCOPE_API_KEY", also="API_KEY", secret=True
    )
    workspace: str = config.setting(
        "", "Workspace of Model Studio; empty for the key's own.", env="DASHSCOPE_WORKSPACE"
    )
    url: str = config.setting(
        "wss://dashscope.aliyuncs.com/api-ws/v1/inference",
        "Address of DashScope's realtime recognition.",
        env="DASHSCOPE_WEBSOCKET_URL",
    )
    models: tuple[str, ...] = config.setting(
        tuple(_KNOWN), "Models of realtime recognition, the first one preferred, separated by commas.", env="ASR_MODEL"
    )


class Paraformer:
    """Source: docs/providers/paraformer.md."""

    name = "paraformer"

    def __init__(self, settings: ParaformerSettings, *, limits: Limits | None = None) -> None:
        if not check_url(settings.url, ("ws", "wss")):
            raise config.ConfigError("DASHSCOPE_WEBSOCKET_URL must be an address that begins with wss://.")
        self._settings = settings
        self._limits = limits or Limits()
        self._client = WebSocketClient(settings)
        self._headers = {"Authorization": f"Bearer {settings.api_key}"}
        if settings.workspace:
            self._headers["X-DashScope-WorkSpace"] = settings.workspace

    def models(self) -> tuple[SpeechCard, ...]:
        return tuple(self._card(model) for model in dict.fromkeys((*self._settings.models, *_KNOWN)))

    def listen(self, audio: Audio, request: SpeechRequest) -> Heard:
        with self._open() as socket:
            yield from Task(socket, audio, request, self._limits).run()

    def close(self) -> None:
        """No connection outlives its task."""

    def _card(self, model: str) -> SpeechCard:
        name, languages, rates = _KNOWN.get(model, (model, (), (16_000,)))
        return SpeechCard(
            id=model,
            name=name,
            provider=self.name,
            vendor_model=model,
            available=bool(self._settings.api_key),
            languages=languages,
            rates=rates,
        )

    def _open(self) -> WebSocket:
        """A connection; asked for twice, since no sound has been passed on yet."""
        for left in range(OPENINGS - 1, -1, -1):
            try:
                return self._client.open(self._settings.url, self._headers)
            except HandshakeRefusedError as refused:
                error = of_handshake(refused.status)
            except VendorError as failed:
                error = failed
            if not error.retryable or not left:
                raise error
        raise AssertionError  # the last round returns or raises


SPEC = SpeechSpec(name="paraformer", settings=ParaformerSettings, prefix="PARAFORMER", build=Paraformer, order=110)
