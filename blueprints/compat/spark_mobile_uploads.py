"""What spark-mobile's clients upload: one multipart part named `file`, or the body as it is."""

from __future__ import annotations

from typing import NamedTuple

from flask import request

from blueprints.compat.spark_mobile_wire import Coded

MAX_BYTES = 16_000_000
ROOM_FOR_PARTS = 65_536
"""A file of exactly `MAX_BYTES` has boundaries and headers around it."""


class Upload(NamedTuple):
    """A file in memory: nothing is ever written under a name that a client chose."""

    name: str
    data: bytes

    def check_ending(self, *endings: str) -> None:
        """A body without a name has nothing to check.

        Raises:
            Coded: The name ends otherwise.
        """
        if self.name and not self.name.lower().endswith(endings):
            raise illegal()


def uploaded() -> Upload:
    """The file of this request.

    Raises:
        Coded: There is none, or it is empty.
        RequestEntityTooLarge: Werkzeug's.
    """
    request.max_content_length = MAX_BYTES + ROOM_FOR_PARTS
    if request.mimetype == "multipart/form-data":
        file = request.files.get("file")
        upload = Upload(file.filename or "", file.read()) if file is not None else Upload("", b"")
    else:
        upload = Upload("", request.get_data(cache=False))
    if not upload.data:
        raise Coded("GET_FILE_FAIL", "没有收到文件。")
    return upload


def illegal() -> Coded:
    """The refusal of a file of another kind."""
    return Coded("FILE_FORMAT_ILLEGAL", "文件格式不支持。")
