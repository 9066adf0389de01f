"""The events of `/picture` besides those that all namespaces with turns share, as JSON Schema."""

from __future__ import annotations

from blueprints.contracts.shapes import COUNT, FLAG, ID, POSITIVE, TEXT, Schema, many, obj, one_of, ref, whole, words

_BYTES: Schema = {"type": "string", "format": "binary", "description": "An attachment."}
_TYPE: Schema = {**words(longest=64), "examples": ["image/jpeg"]}
_SIZE: Schema = {**words(longest=16), "examples": ["512*512"]}
_WINDOW = {"window_ms": whole(0, 250)}
_PLACE = obj({"turn": ID, "epoch": POSITIVE, "offset": COUNT}, {"from": COUNT, "text": TEXT, "reasoning": TEXT})
_SO_FAR = obj({"upload": ID, "next": COUNT}, {"picture": ref("Picture")})

CLIENT_EVENTS: dict[str, tuple[Schema, Schema | None]] = {
    "picture_read": (
        obj(
            {"client_id": ID, "task": one_of("ocr", "describe")},
            {
                "picture": {"anyOf": [_BYTES, ID], "description": "The file, or the id of a stored picture."},
                "upload": ID,
                "prompt": words(longest=4_000),
                "language": words(longest=32),
                "model": words(longest=128),
                **_WINDOW,
            },
        ),
        obj({**_PLACE["properties"], "picture": ID}) | {"required": [*_PLACE["required"], "picture"]},
    ),
    "picture_upload": (obj({"client_id": ID, "bytes": POSITIVE, "type": _TYPE}), _SO_FAR),
    "picture_part": (obj({"upload": ID, "at": COUNT, "data": _BYTES}), _SO_FAR),
    "picture_draw": (
        obj(
            {"client_id": ID, "prompt": words(longest=4_000)},
            {"size": _SIZE, "count": whole(1, 4), "model": words(longest=128), **_WINDOW},
        ),
        _PLACE,
    ),
}

_NAMED = {"id": TEXT, "name": TEXT, "provider": TEXT, "available": FLAG}
MODELS: dict[str, Schema] = {
    "readers": many(obj({**_NAMED, "tasks": many(one_of("ocr", "describe"))})),
    "painters": many(obj({**_NAMED, "size": TEXT})),
}
"""What `welcome` lists."""
