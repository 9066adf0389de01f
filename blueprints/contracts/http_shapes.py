"""The shapes that only HTTP has, as JSON Schema."""

from __future__ import annotations

from blueprints.contracts.shapes import (
    COUNT,
    FLAG,
    ID,
    NUMBER,
    POSITIVE,
    RUNNING_OR_STATUS,
    SHARED,
    TEXT,
    TIME_MS,
    Schema,
    many,
    nullable,
    number,
    obj,
    one_of,
    ref,
    whole,
    words,
)

_TOKEN = {"id": ID, "name": TEXT, "created_ms": TIME_MS, "expires_ms": nullable(TIME_MS)}
_SPARK_KEY = {"api_key": ID, "app_id": TEXT, "name": TEXT, "created_ms": TIME_MS}
_OPENAI_USAGE = obj({"prompt_tokens": COUNT, "completion_tokens": COUNT, "total_tokens": COUNT})
_FINISH = one_of("stop", "length", "content_filter")
_ENTRIES = (
    "turn_state", "turn_delta", "turn_rewind", "turn_end", "voice_partial", "voice_final", "voice_answer"
)  # fmt: skip
_HEAD = {"id": TEXT, "created": COUNT, "model": TEXT, "system_fingerprint": {"type": "null"}}


def _entry(name: str) -> Schema:
    """An entry of a turn's log with its event's name inside."""
    shape = SHARED[name]
    return {
        **shape,
        "properties": {"event": {"const": name}, **shape["properties"]},
        "required": ["event", *shape["required"]],
    }


CHAT_PART: Schema = {
    "anyOf": [
        obj({"type": {"const": "text"}, "text": TEXT}),
        obj({"type": {"const": "image_url"}, "image_url": obj({"url": TEXT}, {"detail": TEXT})}),
    ]
}
"""Pictures stand in the user's messages: as a data: address, or the id of a picture of the caller's."""

SCHEMAS: dict[str, Schema] = {
    **SHARED,
    "Refusal": obj({"error": ref("Error")}),
    "SignedIn": obj({"user": ref("User"), "token": TEXT}),
    "Token": obj({**_TOKEN, "last_used_ms": nullable(TIME_MS)}),
    "NewToken": obj({**_TOKEN, "token": TEXT}),
    "SparkKey": obj({**_SPARK_KEY, "last_used_ms": nullable(TIME_MS)}),
    "NewSparkKey": obj({**_SPARK_KEY, "api_secret": TEXT}),
    "Conversation": obj(
        {
            "id": ID,
            "title": TEXT,
            "head": nullable(ID),
            "version": POSITIVE,
            "created_ms": TIME_MS,
            "updated_ms": TIME_MS,
        },
        {"snippet": TEXT},
    ),
    "Message": obj(
        {
            "id": ID,
            "parent": nullable(ID),
            "role": one_of("user", "assistant"),
            "text": TEXT,
            "pictures": many(ID),
            "reasoning": TEXT,
            "model": TEXT,
            "turn": nullable(ID),
            "status": {"type": "string", "enum": ["", *RUNNING_OR_STATUS["enum"]]},
            "usage": obj({"prompt_tokens": COUNT, "completion_tokens": COUNT}),
            "charged": COUNT,
            "created_ms": TIME_MS,
        },
        {"reason": TEXT, "error": ref("Error"), "heard_chars": COUNT},
    ),
    "Transcription": obj(
        {"text": TEXT, "usage": obj({"type": {"const": "duration"}, "seconds": COUNT})},
        {
            "task": {"const": "transcribe"},
            "language": TEXT,
            "duration": NUMBER,
            "segments": many(obj({"id": COUNT, "start": NUMBER, "end": NUMBER, "text": TEXT})),
        },
    ),
    "Turn": obj(
        {
            "turn": ID,
            "status": RUNNING_OR_STATUS,
            "epoch": POSITIVE,
            "offset": COUNT,
            "from": COUNT,
            "entries": many({"oneOf": [_entry(name) for name in _ENTRIES]}),
        },
        {"text": TEXT, "reasoning": TEXT},
    ),
    "ModelEntry": obj(
        {
            **SHARED["Model"]["properties"],
            "object": {"const": "model"},
            "created": COUNT,
            "owned_by": TEXT,
        }
    ),
    "ChatMessage": obj(
        {
            "role": one_of("system", "developer", "user", "assistant"),
            "content": {"anyOf": [TEXT, many(CHAT_PART), {"type": "null"}]},
        }
    ),
    "ChatRequest": obj(
        {"messages": {**many(ref("ChatMessage")), "minItems": 1}},
        {
            "model": words(longest=128),
            "temperature": number(0, 2),
            "top_p": number(0, 1),
            "max_tokens": whole(1, 1_000_000),
            "max_completion_tokens": whole(1, 1_000_000),
            "stream": FLAG,
            "stream_options": obj({}, {"include_usage": FLAG}),
        },
    ),
    "ChatCompletion": obj(
        {
            **_HEAD,
            "object": {"const": "chat.completion"},
            "choices": many(
                obj(
                    {
                        "index": {"const": 0},
                        "message": obj(
                            {"role": {"const": "assistant"}, "content": TEXT, "refusal": {"type": "null"}},
                            {"reasoning_content": TEXT},
                        ),
                        "logprobs": {"type": "null"},
                        "finish_reason": _FINISH,
                    }
                )
            ),
            "usage": _OPENAI_USAGE,
        }
    ),
    "ChatChunk": obj(
        {
            **_HEAD,
            "object": {"const": "chat.completion.chunk"},
            "choices": many(
                obj(
                    {
                        "index": {"const": 0},
                        "delta": obj({}, {"role": TEXT, "content": TEXT, "reasoning_content": TEXT}),
                        "logprobs": {"type": "null"},
                        "finish_reason": nullable(_FINISH),
                    }
                )
            ),
        },
        {"usage": nullable(_OPENAI_USAGE)},
    ),
    "ChatRefusal": obj(
        {
            "error": obj(
                {"code": TEXT, "message": TEXT, "retryable": FLAG, "type": TEXT, "param": nullable(TEXT)},
                {"field": TEXT, "retry_after_s": NUMBER},
            )
        }
    ),
    "Readiness": obj({"ready": FLAG, "checks": {"type": "object", "additionalProperties": FLAG}}),
}
"""Under `components/schemas`."""
