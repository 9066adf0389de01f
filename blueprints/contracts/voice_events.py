"""The events of `/voice`, as the AsyncAPI contract has them."""

from __future__ import annotations

from blueprints.contracts.shapes import COUNT, FLAG, ID, PLACE, TEXT, Schema, many, obj, one_of, ref, whole, words

BYTES: Schema = {**COUNT, "description": "A place in the sound, counted from its first byte; even."}
_MODEL = words(longest=128)
_PCM: Schema = {
    "type": "string",
    "minLength": 2,
    "maxLength": 65_536,
    "description": "Sent as a binary attachment: 16-bit little-endian samples.",
}

CLIENT_EVENTS: dict[str, tuple[Schema, Schema | None]] = {
    "voice_start": (
        obj(
            {"client_id": ID, "encoding": one_of("pcm_s16le"), "rate": {"type": "integer", "enum": [16_000, 8_000]}},
            {
                "channels": {"type": "integer", "enum": [1]},
                "language": words(longest=16),
                "model": _MODEL,
                "answer": obj({}, {"conversation": ID, "model": _MODEL}),
                "window_ms": whole(0, 250),
            },
        ),
        obj({**PLACE, "next": BYTES}, {"from": COUNT, "text": TEXT, "reasoning": TEXT}),
    ),
    "voice_frame": (obj({"turn": ID, "at": BYTES, "pcm": _PCM}), None),
    "voice_end": (obj({"turn": ID, "at": COUNT}), obj({"next": BYTES})),
    "voice_cancel": (obj({"turn": ID}), obj()),
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
}
"""What the server sends on `/voice` only."""

MODELS: dict[str, Schema] = {"models": many(SPEECH_MODEL)}
"""What `welcome` lists."""
