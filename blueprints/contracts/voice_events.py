"""The events of `/voice`, as the AsyncAPI contract has them."""

from __future__ import annotations

from blueprints.contracts.shapes import (
    COUNT,
    FLAG,
    ID,
    PLACE,
    POSITIVE,
    TEXT,
    Schema,
    many,
    number,
    obj,
    one_of,
    ref,
    whole,
    words,
)

BYTES: Schema = {**COUNT, "description": "A place in the sound, counted from its first byte; even."}
_MODEL = words(longest=128)
_PCM: Schema = {
    "type": "string",
    "minLength": 2,
    "maxLength": 65_536,
    "description": "Sent as a binary attachment: 16-bit little-endian samples.",
}

MAYBE_TEXT: Schema = {"type": ["string", "null"]}
SPEAK: Schema = {
    "anyOf": [FLAG, obj({}, {"voice": _MODEL, "rate": {"type": "integer", "enum": [16_000, 24_000]}})],
    "description": "Have the answer read aloud.",
}

CLIENT_EVENTS: dict[str, tuple[Schema, Schema | None]] = {
    "voice_start": (
        obj(
            {"client_id": ID, "encoding": one_of("pcm_s16le"), "rate": {"type": "integer", "enum": [16_000, 8_000]}},
            {
                "channels": {"type": "integer", "enum": [1]},
                "language": words(longest=16),
                "model": _MODEL,
                "answer": obj({}, {"conversation": ID, "model": _MODEL, "speak": SPEAK}),
                "window_ms": whole(0, 250),
            },
        ),
        obj(
            {**PLACE, "next": BYTES},
            {"from": COUNT, "text": TEXT, "reasoning": TEXT, "speech": obj({"voice": MAYBE_TEXT, "note": TEXT})},
        ),
    ),
    "voice_frame": (obj({"turn": ID, "at": BYTES, "pcm": _PCM}), None),
    "voice_end": (obj({"turn": ID, "at": COUNT}), obj({"next": BYTES})),
    "voice_cancel": (obj({"turn": ID}), obj()),
    "voice_hush": (obj({"turn": ID}, {"heard": number(0, 1e9)}), obj({}, {"heard_chars": COUNT})),
}
"""What a client sends, and what a good acknowledgement adds to `ok: true`; None where none is given."""

SPEECH_MODEL = obj(
    {"id": TEXT, "name": TEXT, "provider": TEXT, "available": FLAG, "languages": many(TEXT), "note": TEXT}
)
_PLACE_IN_SOUND = {"turn": ID, "next": BYTES}

SERVER_EVENTS: dict[str, Schema] = {
    "voice_ack": obj(_PLACE_IN_SOUND),
    "voice_overrun": obj(_PLACE_IN_SOUND),
    "voice_refused": obj({"error": ref("Error")}, _PLACE_IN_SOUND),
    "voice_partial": ref("voice_partial"),
    "voice_final": ref("voice_final"),
    "voice_answer": ref("voice_answer"),
    "voice_started": obj({"turn": ID, "client_id": ID}),
    "voice_speech": obj({"turn": ID, "sentence": COUNT, "at": BYTES, "rate": POSITIVE, "pcm": _PCM}),
    "voice_speech_end": obj(
        {"turn": ID, "sentence": COUNT, "text": TEXT, "start": COUNT, "end": COUNT, "ms": COUNT}
    ),
    "voice_speech_over": obj(
        {"turn": ID, "reason": one_of("done", "hushed", "stopped", "length", "failed"), "ms": COUNT},
        {"error": ref("Error")},
    ),
}
"""What the server sends on `/voice` only."""

MODELS: dict[str, Schema] = {"models": many(SPEECH_MODEL), "voices": many(SPEECH_MODEL)}
"""What `welcome` lists."""
