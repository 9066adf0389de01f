"""Dictation of iFlytek: sessions of a minute, joined without a word between them lost."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any

import config
from services.clock import Clock, SystemClock
from services.errors import VendorError, VendorOverloaded
from services.events import Stop
from services.speech.base import Audio, Heard, SpeechCard, SpeechRequest, SpeechSpec
from services.speech.iflytek_codes import CLOCK, SECRET
from services.speech.iflytek_session import FRAME_MS, End, Limits, Session
from services.speech.pcm import bytes_of, peak
from services.speech.tape import Tape
from services.wire.dial import DialSettings, check_url
from services.wire.iflytek_signature import MAX_SKEW_S, signed_url, skew_s
from services.wire.websocket_client import HandshakeRefusedError, WebSocket, WebSocketClient

log = logging.getLogger(__name__)

FAINT_PEAK = 150
"""A session begins anew at a sound; whispering is one."""
PREROLL_S = 0.5
PATH = "/v2/iat"
OPENINGS = 2
MAX_IN_VAIN = 20
"""Sessions in a row that the vendor ended without a word: noise can do that for a while, a broken vendor for ever."""

_LANGUAGES = {"zh": "zh_cn", "en": "en_us"}


@dataclass(frozen=True, slots=True)
class IflytekSettings(DialSettings):
    """Keys and address of iFlytek's dictation."""

    app_id: str = config.setting("", "APPID of iFlytek; needs the key and the secret too.", env="IFLYTEK_APP_ID")
    api_key: str = config.setting("", "APIKey of iFlytek.", env="IFLYTEK_API_KEY", secret=True)
    api_secret: str = config.setting("", "APISecret of iFlytek.", env="IFLYTEK_API_SECRET", secret=True)
    iat_url: str = config.setting(
        "wss://iat-api.xfyun.cn", "Address of iFlytek's dictation, for a mirror.", env="IFLYTEK_IAT_URL"
    )
    corrects: bool = config.setting(
        True,
        "Use dynamic correction, which has to be opened in the vendor's console.",
        env="IFLYTEK_DYNAMIC_CORRECTION",
    )


class Iflytek:
    """Source: docs/providers/iflytek-asr.md."""

    name = "iflytek"

    def __init__(self, settings: IflytekSettings, *, clock: Clock | None = None, limits: Limits | None = None) -> None:
        if not check_url(settings.iat_url, ("ws", "wss")):
            raise config.ConfigError("IFLYTEK_IAT_URL must be an address that begins with wss://.")
        self._settings = settings
        self._clock = clock or SystemClock()
        self._limits = limits or Limits()
        self._client = WebSocketClient(settings)
        self._available = bool(settings.app_id and settings.api_key and settings.api_secret)

    def models(self) -> tuple[SpeechCard, ...]:
        card = SpeechCard(
            id="iflytek-iat",
            name="iFlytek IAT",
            provider=self.name,
            vendor_model="iat",
            available=self._available,
            languages=tuple(_LANGUAGES),
        )
        return (card,)

    def listen(self, audio: Audio, request: SpeechRequest) -> Heard:
        rate, limits = audio.rate, self._limits
        tape = Tape(audio, keep_bytes=bytes_of(limits.cut_s + 1, rate))
        first = self._first(request)
        end, in_vain = End.OURS, 0
        while end is not End.SOUND and self._await_sound(tape, is_first=not tape.position):
            with self._open() as socket:
                session = Session(socket, tape, first, limits)
                end = yield from session.run()
            in_vain = in_vain + 1 if end is End.VENDORS and not session.table.text else 0
            if in_vain > MAX_IN_VAIN:
                raise VendorOverloaded("The recogniser's provider ends every session at once.")
        yield Stop("stop")

    def close(self) -> None:
        """No connection outlives its session."""

    def _await_sound(self, tape: Tape, *, is_first: bool) -> bool:
        """Wait until there is something to hear; silence between sessions opens none. False at the end."""
        size, start = bytes_of(FRAME_MS / 1000, tape.rate), tape.position
        while piece := tape.read(size):
            if is_first or peak(piece) >= FAINT_PEAK:
                tape.back_to(max(tape.position - len(piece) - bytes_of(PREROLL_S, tape.rate), start))
                return True
        return False

    def _first(self, request: SpeechRequest) -> dict[str, Any]:
        language = _LANGUAGES[request.language or "zh"]
        eos_ms = int(self._limits.eos_s * 1000)
        business: dict[str, Any] = {
            "language": language, "domain": "iat", "accent": "mandarin", "vad_eos": eos_ms, "ptt": 1
        }  # fmt: skip
        if self._settings.corrects and language == "zh_cn":
            business["dwa"] = "wpgs"
        return {"common": {"app_id": self._settings.app_id}, "business": business}

    def _open(self) -> WebSocket:
        """A connection; asked for twice, since no sound has been passed on yet."""
        for left in range(OPENINGS - 1, -1, -1):
            url = signed_url(
                self._settings.iat_url.rstrip("/") + PATH,
                api_key=self._settings.api_key,
                api_secret=self._settings.api_secret,
                clock=self._clock,
            )
            try:
                return self._client.open(url)
            except HandshakeRefusedError as refused:
                error = self._refusal(refused)
            except VendorError as failed:
                error = failed
            if not error.retryable or not left:
                raise error from None  # a traceback of the handshake would show the signed address
        raise AssertionError  # the last round returns or raises

    def _refusal(self, refused: HandshakeRefusedError) -> VendorError:
        log.warning("iflytek refused the handshake with %d", refused.status)
        if refused.status not in (401, 403):
            return VendorOverloaded("The recogniser's provider is busy or broken.")
        skew = skew_s(refused.headers.get("date", ""), self._clock)
        meaning = CLOCK if skew is not None and abs(skew) >= MAX_SKEW_S else SECRET
        log.warning("iflytek: %s", meaning.english)
        return meaning.error()


SPEC = SpeechSpec(name="iflytek", settings=IflytekSettings, prefix="IFLYTEK", build=Iflytek, order=100)
