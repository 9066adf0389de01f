"""Every inbound shape and outbound name of the Socket.IO edge, in one place. `docs/protocol.md` describes the same."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from services.errors import InvalidRequest, UnsupportedMedia
from services.fields import Fields
from services.relay.log import Position
from services.synthesis.base import RATES as VOICE_RATES
from services.turns.request import AgainRequest, TextRequest
from services.turns.speak_request import SpeakRequest
from services.turns.voice_request import RATES, AnswerRequest, VoiceRequest

CLIENT_EVENTS = ("turn_start", "turn_regenerate", "turn_attach", "turn_stop", "turn_detach", "sync")
SERVER_EVENTS = (
    "welcome",
    "turn_state",
    "turn_delta",
    "turn_rewind",
    "turn_end",
    "conversation_changed",
    "quota_changed",
)
VOICE_CLIENT_EVENTS = (
    "voice_start",
    "voice_frame",
    "voice_end",
    "voice_cancel",
    "voice_hush",
    "turn_attach",
    "turn_stop",
    "turn_detach",
    "sync",
)
VOICE_SERVER_EVENTS = (
    "welcome",
    "voice_ack",
    "voice_overrun",
    "voice_refused",
    "voice_partial",
    "voice_final",
    "voice_answer",
    "voice_started",
    "voice_speech",
    "voice_speech_end",
    "voice_speech_over",
    "turn_state",
    "turn_delta",
    "turn_rewind",
    "turn_end",
    "conversation_changed",
    "quota_changed",
)

DEFAULT_WINDOW_MS = 33
MAX_WINDOW_MS = 250
MAX_TEXT = 32_000
MAX_ID = 64


def client_id(fields: Fields) -> str:
    """The client's own id of a request."""
    return fields.text("client_id", longest=MAX_ID)


def window_s(fields: Fields) -> float:
    """How long pieces may be gathered for this viewer."""
    return fields.integer("window_ms", low=0, high=MAX_WINDOW_MS, default=DEFAULT_WINDOW_MS) / 1000


@dataclass(frozen=True, slots=True)
class StartTurn:
    """`turn_start`: ask a model. `window_s`: how long pieces may be gathered for this viewer."""

    request: TextRequest
    window_s: float

    @classmethod
    def from_wire(cls, fields: Fields) -> Self:
        request = TextRequest(
            client_id=client_id(fields),
            text=fields.text("text", longest=MAX_TEXT),
            conversation=fields.optional_text("conversation", longest=MAX_ID),
            parent=fields.optional_text("parent", longest=MAX_ID),
            model=fields.optional_text("model", longest=128),
            system=fields.optional_text("system", longest=MAX_TEXT),
            temperature=fields.optional_number("temperature", low=0, high=2),
            top_p=fields.optional_number("top_p", low=0, high=1),
            max_tokens=fields.optional_integer("max_tokens", low=1, high=1_000_000),
            pictures=fields.texts("pictures", most=8, longest=MAX_ID),
        )
        return cls(request, window_s(fields))


@dataclass(frozen=True, slots=True)
class RegenerateTurn:
    """`turn_regenerate`: answer the same question once more, beside the first answer."""

    request: AgainRequest
    window_s: float

    @classmethod
    def from_wire(cls, fields: Fields) -> Self:
        request = AgainRequest(
            client_id=client_id(fields),
            message=fields.text("message", longest=MAX_ID),
            model=fields.optional_text("model", longest=128),
        )
        return cls(request, window_s(fields))


@dataclass(frozen=True, slots=True)
class StartVoice:
    """`voice_start`: begin an utterance, or go on with it after a lost line."""

    request: VoiceRequest
    window_s: float

    @classmethod
    def from_wire(cls, fields: Fields) -> Self:
        if fields.text("encoding", longest=32) != "pcm_s16le":
            raise UnsupportedMedia("Only pcm_s16le is taken: 16-bit little-endian samples.", field="encoding")
        rate = fields.integer("rate", low=1, high=1_000_000)
        if rate not in RATES:
            raise UnsupportedMedia("rate must be 16000 or 8000: resample before sending.", field="rate")
        if fields.integer("channels", low=1, high=64, default=1) != 1:
            raise UnsupportedMedia("Only one channel is taken.", field="channels")
        request = VoiceRequest(
            client_id=client_id(fields),
            rate=rate,
            language=fields.optional_text("language", longest=16),
            model=fields.optional_text("model", longest=128),
            answer=_answer(fields),
        )
        return cls(request, window_s(fields))


def _answer(fields: Fields) -> AnswerRequest | None:
    if not fields.has("answer"):
        return None
    answer = Fields(fields.raw("answer"), name="answer")
    return AnswerRequest(
        answer.optional_text("conversation", longest=MAX_ID),
        answer.optional_text("model", longest=128),
        _speak(answer),
    )


def _speak(answer: Fields) -> SpeakRequest | None:
    """`true`, or an object with wishes."""
    if not answer.has("speak") or answer.raw("speak") is False:
        return None
    if answer.raw("speak") is True:
        return SpeakRequest()
    speak = Fields(answer.raw("speak"), name="answer.speak")
    rate = speak.integer("rate", low=1, high=1_000_000, default=SpeakRequest().rate)
    if rate not in VOICE_RATES:
        raise InvalidRequest("rate must be 16000 or 24000.", field="answer.speak.rate")
    return SpeakRequest(speak.optional_text("voice", longest=128), rate)


@dataclass(frozen=True, slots=True)
class EndVoice:
    """`voice_end`: `at` bytes in all, and no more will come."""

    turn: str
    at: int

    @classmethod
    def from_wire(cls, fields: Fields) -> Self:
        return cls(fields.text("turn", longest=MAX_ID), fields.integer("at", low=0, high=2**53))


@dataclass(frozen=True, slots=True)
class CancelVoice:
    """`voice_cancel`: end the turn at once."""

    turn: str

    @classmethod
    def from_wire(cls, fields: Fields) -> Self:
        return cls(fields.text("turn", longest=MAX_ID))


@dataclass(frozen=True, slots=True)
class HushVoice:
    """`voice_hush`: listen no more to an answer; `heard_ms`: how much of its sound was played."""

    turn: str
    heard_ms: float | None

    @classmethod
    def from_wire(cls, fields: Fields) -> Self:
        return cls(fields.text("turn", longest=MAX_ID), fields.optional_number("heard", low=0, high=1e9))


@dataclass(frozen=True, slots=True)
class AttachTurn:
    """`turn_attach`: follow a turn from a position."""

    turn: str
    position: Position
    window_s: float

    @classmethod
    def from_wire(cls, fields: Fields) -> Self:
        epoch = fields.integer("epoch", low=1, high=2**31, default=1)
        after = fields.integer("after", low=0, high=2**53, default=0)
        return cls(fields.text("turn", longest=MAX_ID), Position(epoch, after), window_s(fields))


@dataclass(frozen=True, slots=True)
class StopTurn:
    """`turn_stop`: by the turn's id, or by the client's own id when the acknowledgement has not come yet."""

    turn: str | None
    client_id: str | None

    @classmethod
    def from_wire(cls, fields: Fields) -> Self:
        if not fields.has("turn") and not fields.has("client_id"):
            raise InvalidRequest("turn is missing; client_id would do, too.", field="turn")
        return cls(
            fields.optional_text("turn", longest=MAX_ID),
            None if fields.has("turn") else client_id(fields),
        )


@dataclass(frozen=True, slots=True)
class DetachTurn:
    """`turn_detach`: stop following; the turn goes on."""

    turn: str

    @classmethod
    def from_wire(cls, fields: Fields) -> Self:
        return cls(fields.text("turn", longest=MAX_ID))


@dataclass(frozen=True, slots=True)
class Sync:
    """`sync`: which turns run now. Has no fields, and may come without a payload."""

    @classmethod
    def from_wire(cls, fields: Fields) -> Self:
        return cls()
