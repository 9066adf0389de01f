"""Every inbound shape of `/picture` besides those that all namespaces with turns share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self, cast, get_args

from services.errors import InvalidRequest, UnsupportedMedia
from services.fields import Fields
from services.ocr.base import Task
from services.pictures.header import MAX_BYTES
from services.pictures.uploads import MAX_PART_BYTES
from services.turns.picture_request import MAX_COUNT, MAX_PROMPT, DrawingRequest, ReadingRequest, size_of
from sockets.events import MAX_ID, client_id, window_s

PICTURE_CLIENT_EVENTS = (
    "picture_read",
    "picture_upload",
    "picture_part",
    "picture_draw",
    "turn_attach",
    "turn_stop",
    "turn_detach",
    "sync",
)
PICTURE_SERVER_EVENTS = (
    "welcome",
    "turn_state",
    "turn_delta",
    "turn_rewind",
    "turn_end",
    "conversation_changed",
    "quota_changed",
)

_TASKS = get_args(Task)


@dataclass(frozen=True, slots=True)
class ReadPicture:
    """`picture_read`: have a picture read. It comes as bytes, as a whole upload, or as the id of a stored one."""

    request: ReadingRequest
    window_s: float

    @classmethod
    def from_wire(cls, fields: Fields) -> Self:
        task = fields.text("task", longest=16)
        if task not in _TASKS:
            raise InvalidRequest(f"task must be one of {', '.join(_TASKS)}.", field="task")
        given, upload = fields.raw("picture"), fields.optional_text("upload", longest=MAX_ID)
        if (given is None) == (upload is None):
            raise InvalidRequest("Send either picture or upload.", field="picture")
        stored = fields.optional_text("picture", longest=MAX_ID) if isinstance(given, str) else None
        data = fields.data("picture", longest=MAX_BYTES) if given is not None and stored is None else None
        request = ReadingRequest(
            client_id=client_id(fields),
            task=cast(Task, task),
            data=data,
            upload=upload,
            picture=stored,
            prompt=fields.optional_text("prompt", longest=MAX_PROMPT) or "",
            language=fields.optional_text("language", longest=32) or "",
            model=fields.optional_text("model", longest=128),
        )
        return cls(request, window_s(fields))


@dataclass(frozen=True, slots=True)
class UploadPicture:
    """`picture_upload`: announce a picture that comes in parts, or go on with one."""

    client_id: str
    size: int

    @classmethod
    def from_wire(cls, fields: Fields) -> Self:
        kind = fields.text("type", longest=64)
        if not kind.startswith("image/"):
            raise UnsupportedMedia("type must be that of a picture, such as image/jpeg.", field="type")
        return cls(client_id(fields), fields.integer("bytes", low=1, high=2**53))


@dataclass(frozen=True, slots=True)
class PicturePart:
    """`picture_part`: the bytes of an upload from `at` on."""

    upload: str
    at: int
    data: bytes

    @classmethod
    def from_wire(cls, fields: Fields) -> Self:
        return cls(
            fields.text("upload", longest=MAX_ID),
            fields.integer("at", low=0, high=2**53),
            fields.data("data", longest=MAX_PART_BYTES),
        )


@dataclass(frozen=True, slots=True)
class DrawPicture:
    """`picture_draw`: have pictures drawn."""

    request: DrawingRequest
    window_s: float

    @classmethod
    def from_wire(cls, fields: Fields) -> Self:
        request = DrawingRequest(
            client_id=client_id(fields),
            prompt=fields.text("prompt", longest=MAX_PROMPT),
            size=size_of(fields.optional_text("size", longest=16)),
            count=fields.integer("count", low=1, high=MAX_COUNT, default=1),
            model=fields.optional_text("model", longest=128),
        )
        return cls(request, window_s(fields))
