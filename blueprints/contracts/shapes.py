"""The shapes both contracts speak of, as JSON Schema."""

from __future__ import annotations

from typing import Any, get_args

from services.errors import BY_CODE
from services.events import Reason, State, Status

Schema = dict[str, Any]

TEXT: Schema = {"type": "string"}
NUMBER: Schema = {"type": "number"}
FLAG: Schema = {"type": "boolean"}
COUNT: Schema = {"type": "integer", "minimum": 0}
POSITIVE: Schema = {"type": "integer", "minimum": 1}
TIME_MS: Schema = {"type": "integer", "minimum": 0, "description": "Milliseconds since 1970, UTC."}
ID: Schema = {"type": "string", "minLength": 1, "maxLength": 64}
SHA256: Schema = {"type": "string", "pattern": "^[0-9a-f]{64}$"}
STATUS: Schema = {"type": "string", "enum": [*get_args(Status)]}
RUNNING_OR_STATUS: Schema = {"type": "string", "enum": ["running", *get_args(Status)]}


def words(*, longest: int, shortest: int = 1) -> Schema:
    """Text of so many code points."""
    return {"type": "string", "minLength": shortest, "maxLength": longest}


def number(low: float, high: float) -> Schema:
    return {"type": "number", "minimum": low, "maximum": high}


def whole(low: int, high: int) -> Schema:
    return {"type": "integer", "minimum": low, "maximum": high}


def one_of(*values: str) -> Schema:
    return {"type": "string", "enum": [*values]}


def nullable(schema: Schema) -> Schema:
    return {"anyOf": [schema, {"type": "null"}]}


def many(schema: Schema) -> Schema:
    return {"type": "array", "items": schema}


def ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def obj(needed: dict[str, Schema] | None = None, optional: dict[str, Schema] | None = None) -> Schema:
    """An object. Readers must bear with fields that a later version adds."""
    return {
        "type": "object",
        "properties": {**(needed or {}), **(optional or {})},
        "required": [*(needed or {})],
    }


PLACE = {"turn": ID, "epoch": POSITIVE, "offset": COUNT}

SHARED: dict[str, Schema] = {
    "Error": obj(
        {"code": one_of(*sorted(BY_CODE)), "message": TEXT, "retryable": FLAG},
        {"field": TEXT, "retry_after_s": NUMBER},
    ),
    "User": obj({"id": ID, "name": TEXT, "guest": FLAG}),
    "Quota": obj({"tokens": COUNT, "pictures": COUNT}),
    "Model": obj({"id": TEXT, "name": TEXT, "provider": TEXT, "vision": FLAG, "reasoning": FLAG, "available": FLAG}),
    "Picture": obj(
        {
            "id": ID,
            "url": TEXT,
            "width": POSITIVE,
            "height": POSITIVE,
            "type": one_of("image/png", "image/jpeg"),
        }
    ),
    "Usage": obj(
        {"prompt_tokens": COUNT, "completion_tokens": COUNT, "total_tokens": COUNT, "estimated": FLAG},
        {"audio_ms": COUNT},
    ),
    "turn_state": obj({**PLACE, "state": one_of(*get_args(State))}, {"progress": number(0, 1)}),
    "turn_delta": obj({**PLACE, "count": POSITIVE, "kind": one_of("text", "reasoning"), "text": TEXT}),
    "turn_rewind": obj({**PLACE, "length": COUNT}),
    "turn_end": obj(
        {
            **PLACE,
            "status": STATUS,
            "reason": one_of(*get_args(Reason)),
            "usage": ref("Usage"),
            "charged": COUNT,
            "length": COUNT,
            "sha256": SHA256,
            "message": {"type": "string", "maxLength": 64, "description": "Empty for a turn without a message."},
        },
        {
            "error": ref("Error"),
            "bytes": COUNT,
            "audio_ms": COUNT,
            "ended_by": one_of("client", "silence", "idle", "length", "recogniser", "turn"),
            "answer_error": ref("Error"),
            "model": TEXT,
            "note": TEXT,
            "regions": many(obj({"text": TEXT, "box": many(many(NUMBER)), "score": NUMBER})),
            "pictures": many(ref("Picture")),
        },
    ),
    "voice_partial": obj({**PLACE, "text": TEXT}),
    "voice_final": obj({**PLACE, "text": TEXT, "start_ms": COUNT, "end_ms": COUNT}),
    "voice_answer": obj({**PLACE, "answer": ID}),
}
"""Under `components/schemas` of both documents."""
