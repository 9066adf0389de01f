"""Speech synthesis of DashScope (Alibaba Cloud Model Studio, 百炼): cosyvoice, one task a sentence.

Our own WebSocket rather than the vendor's package: importing that costs a worker 71 MB, half of what it may hold after
a day of work, and its synthesiser keeps two greenlets and an unbounded queue for each call. The tests have the package
talk to the same simulator, so that both speak the same language.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import gevent
import orjson

import config
from services.errors import VendorError, VendorOverloaded, VendorRefused, VendorTimeout
from services.synthesis.base import Mouth, SynthesisSpec, VoiceCard
from services.wire.dial import DialSettings, check_url
from services.wire.websocket_client import HandshakeRefusedError, WebSocket, WebSocketClient
from services.wire.websocket_frames import Binary

log = logging.getLogger(__name__)

TRIES = 2
_REFUSED = "The voice's provider refused to speak for this server."
_BUSY = "The voice's provider is busy or broken."
_FINAL = (
    "InvalidApiKey", "AccessDenied", "Model", "ModelNotFound", "Workspace", "WorkSpaceNotFound", "Arrearage",
    "AllocationQuota", "CommodityNotPurchased", "PrepaidBillOverdue", "PostpaidBillOverdue", "InvalidParameter",
    "BadRequest", "DataInspectionFailed", "CLIENT_ERROR",
)  # fmt: skip
"""Codes, up to their first dot, that another try does not change."""


@dataclass(frozen=True, slots=True)
class CosyVoiceSettings(DialSettings):
    """Address, model and voices of DashScope's speech synthesis."""

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
    model: str = config.setting("cosyvoice-v2", "DashScope's model that speaks.", env="TTS_MODEL")
    voices: tuple[str, ...] = config.setting(
        ("longxiaochun_v2", "longcheng_v2"),
        "Voices of that model, the first one preferred, separated by commas.",
        env="TTS_VOICES",
    )


@dataclass(frozen=True, slots=True)
class Limits:
    """Seconds until `task-started`, until the first sound of a sentence, and between two pieces."""

    started_s: float = 10.0
    first_s: float = 10.0
    next_s: float = 15.0


class CosyVoice:
    """Source: docs/providers/cosyvoice.md."""

    name = "cosyvoice"

    def __init__(self, settings: CosyVoiceSettings, *, limits: Limits | None = None) -> None:
        if not check_url(settings.url, ("ws", "wss")):
            raise config.ConfigError("DASHSCOPE_WEBSOCKET_URL must be an address that begins with wss://.")
        self._settings = settings
        self._limits = limits or Limits()
        self._client = WebSocketClient(settings)

    def voices(self) -> tuple[VoiceCard, ...]:
        available = bool(self._settings.api_key)
        return tuple(
            VoiceCard(voice, f"CosyVoice {voice}", self.name, available, ("zh", "en"))
            for voice in dict.fromkeys(self._settings.voices)
        )

    @contextmanager
    def open(self, voice: str, rate: int) -> Iterator[Mouth]:
        mouth = _Mouth(self._connect, self._settings.model, voice, rate, self._limits)
        try:
            yield mouth
        finally:
            mouth.hang_up()

    def close(self) -> None:
        """No connection outlives its answer."""

    def _connect(self) -> WebSocket:
        headers = {"Authorization": f"Bearer {self._settings.api_key}"}
        if self._settings.workspace:
            headers["X-DashScope-WorkSpace"] = self._settings.workspace
        try:
            return self._client.open(self._settings.url, headers)
        except HandshakeRefusedError as refused:
            log.warning("cosyvoice refused the handshake with %d", refused.status)
            if refused.status in (401, 403, 404):
                raise VendorRefused(_REFUSED) from refused
            raise VendorOverloaded(_BUSY) from refused


class _Mouth:
    """One connection for the sentences of an answer, opened anew when the vendor has closed it in between."""

    def __init__(self, connect: Any, model: str, voice: str, rate: int, limits: Limits) -> None:
        self.rate = rate
        self._connect = connect
        self._model = model
        self._voice = voice
        self._limits = limits
        self._socket: WebSocket | None = None

    def say(self, text: str) -> Generator[bytes, None, None]:
        for left in range(TRIES - 1, -1, -1):
            has_sounded = False
            try:
                for piece in self._task(text):
                    has_sounded = True
                    yield piece
                return
            except VendorError as error:
                self.hang_up()
                if has_sounded or not left or not error.retryable:
                    raise
            except BaseException:
                self.hang_up()  # what comes still belongs to this sentence
                raise

    def hang_up(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _task(self, text: str) -> Generator[bytes, None, None]:
        if self._socket is None:
            self._socket = self._connect()
        socket, task = self._socket, uuid.uuid4().hex
        parameters = {
            "text_type": "PlainText", "voice": self._voice, "format": "pcm", "sample_rate": self.rate,
            "volume": 50, "rate": 1, "pitch": 1,
        }  # fmt: skip
        start = {"task_group": "audio", "task": "tts", "function": "SpeechSynthesizer"}
        _say(socket, "run-task", task, {**start, "model": self._model, "parameters": parameters, "input": {}})
        limit_s, odd = self._limits.started_s, b""
        while True:
            for message in _receive(socket, limit_s):
                if isinstance(message, Binary):
                    limit_s = self._limits.next_s
                    pcm = odd + message
                    even = len(pcm) & ~1
                    pcm, odd = pcm[:even], pcm[even:]
                    if pcm:
                        yield pcm
                    continue
                header = _header(message)
                if header.get("task_id") != task:
                    continue
                event = header.get("event")
                if event == "task-started":
                    limit_s = self._limits.first_s
                    _say(socket, "continue-task", task, {"input": {"text": text}})
                    _say(socket, "finish-task", task, {"input": {}})
                elif event == "task-finished":
                    return
                elif event == "task-failed":
                    raise _error(str(header.get("error_code", "")), task)


def _say(socket: WebSocket, action: str, task: str, payload: dict[str, Any]) -> None:
    header = {"action": action, "task_id": task, "streaming": "duplex"}
    socket.send(orjson.dumps({"header": header, "payload": payload}))


def _receive(socket: WebSocket, limit_s: float) -> list[bytes]:
    try:
        with gevent.Timeout(limit_s) as limit:
            messages = socket.receive()
    except gevent.Timeout as fired:
        if fired is not limit:
            raise
        raise VendorTimeout("The voice did not answer in time.") from fired
    if not messages:
        raise VendorOverloaded(_BUSY)
    return messages


def _header(message: bytes) -> dict[str, Any]:
    try:
        header = orjson.loads(message)["header"]
        if isinstance(header, dict):
            return header
    except (ValueError, KeyError, TypeError) as error:
        raise VendorOverloaded(_BUSY) from error
    raise VendorOverloaded(_BUSY)


def _error(code: str, task: str) -> VendorError:
    log.warning("cosyvoice failed code=%.80s task=%s", code, task)
    if code.partition(".")[0] in _FINAL:
        return VendorRefused(_REFUSED)
    return VendorOverloaded(_BUSY)


SPEC = SynthesisSpec(name="cosyvoice", settings=CosyVoiceSettings, prefix="COSYVOICE", build=CosyVoice, order=10)
