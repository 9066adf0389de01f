"""The pictures of all users: taken in through one door, kept as files beside a row each, given to their owner only."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import gevent
from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from db.models import Picture
from db.unit_of_work import UnitOfWork
from services.clock import Clock
from services.errors import Conflict, NotFound, ServerBusy
from services.ids import new_id
from services.pictures.header import check
from services.wire.side_process import SideProcess

log = logging.getLogger(__name__)

T = TypeVar("T")

ORPHAN_S = 3_600.0
"""A file younger than this may still be waiting for its row."""
_LISTED = 200


@dataclass(frozen=True, slots=True)
class PictureRecord:
    """One stored picture. `media_type` is what this server wrote: PNG or JPEG, whatever had come."""

    id: str
    media_type: str
    bytes: int
    width: int
    height: int
    created_ms: int

    @classmethod
    def of(cls, row: Picture) -> PictureRecord:
        return cls(row.id, row.media_type, row.bytes, row.width, row.height, row.created_ms)

    @property
    def url(self) -> str:
        """Where its owner gets it, on this server."""
        return f"/v1/pictures/{self.id}"

    def to_wire(self) -> dict[str, Any]:
        return {"id": self.id, "url": self.url, "width": self.width, "height": self.height, "type": self.media_type}


class Pictures:
    """Takes pictures in and gives them out. Whatever is another user's looks absent.

    Every method yields: bytes are decoded in a side process, files are read and written by native threads.
    """

    def __init__(
        self, *, uow: UnitOfWork, clock: Clock, folder: Path, recoder: SideProcess, most_bytes_per_user: int
    ) -> None:
        self._uow = uow
        self._clock = clock
        self._folder = folder
        self._recoder = recoder
        self._most_bytes = most_bytes_per_user

    def add(self, user_id: str, data: bytes, *, field: str = "picture") -> PictureRecord:
        """Keep a picture: checked by its header, then decoded and written anew.

        Raises:
            UnsupportedMedia: Not a picture, or a broken one.
            TooLarge: More bytes, pixels or frames than allowed.
            Conflict: The user keeps as much as one may.
            ServerBusy: Too many at once, or no room on the disk.
        """
        check(data, field=field)
        head, encoded = self._recoder.one({}, data)
        record = PictureRecord(
            new_id("p"), head["type"], len(encoded), head["width"], head["height"], self._clock.now_ms()
        )
        self._apart(lambda: self._write(record.id, encoded))
        try:
            self._uow.run(lambda session: self._insert(session, user_id, record))
        except BaseException:
            self._apart(lambda: self._unlink(record.id))
            raise
        return record

    def get(self, user_id: str, picture_id: str, *, field: str | None = None) -> PictureRecord:
        """Raises `NotFound`."""
        with self._uow.read() as session:
            return self.owned(session, user_id, picture_id, field=field)

    def owned(self, session: Session, user_id: str, picture_id: str, *, field: str | None = None) -> PictureRecord:
        """The user's picture, inside the caller's transaction. Raises `NotFound`."""
        row = session.get(Picture, picture_id)
        if row is None or row.user_id != user_id:
            raise NotFound("There is no such picture.", field=field)
        return PictureRecord.of(row)

    def list(self, user_id: str) -> list[PictureRecord]:
        """The newest ones."""
        statement = select(Picture).where(Picture.user_id == user_id)
        with self._uow.read() as session:
            rows = session.scalars(statement.order_by(Picture.created_ms.desc(), Picture.id.desc()).limit(_LISTED))
            return [PictureRecord.of(row) for row in rows]

    def read(self, record: PictureRecord) -> bytes:
        """Its bytes. Raises `NotFound` when the file is gone."""
        try:
            return self._apart(self._path(record.id).read_bytes)
        except FileNotFoundError as error:
            log.error("picture %s has a row, but no file", record.id)
            raise NotFound("There is no such picture.") from error

    def fitted(self, record: PictureRecord, *, max_bytes: int, max_side: int) -> tuple[str, bytes]:
        """Kind and bytes, made smaller where it must be. Raises `NotFound`."""
        data = self.read(record)
        if record.bytes <= max_bytes and max(record.width, record.height) <= max_side:
            return record.media_type, data
        head, smaller = self._recoder.one({"max_bytes": max_bytes, "max_side": max_side}, data)
        return head["type"], smaller

    def remove(self, user_id: str, picture_id: str) -> None:
        """Delete it. Raises `NotFound`."""

        def work(session: Session) -> None:
            self.owned(session, user_id, picture_id)
            session.execute(delete(Picture).where(Picture.id == picture_id))

        self._uow.run(work)
        self._apart(lambda: self._unlink(picture_id))

    def sweep(self) -> int:
        """Delete files without a row: their users were deleted, or the server was killed between file and row."""
        old = self._clock.now_ms() / 1000 - ORPHAN_S
        files = self._apart(lambda: [path for path in self._folder.glob("*/*") if path.stat().st_mtime < old])
        with self._uow.read() as session:
            known = set(session.scalars(select(Picture.id)))
        orphans = [path for path in files if path.name not in known]
        for path in orphans:
            self._apart(lambda path=path: path.unlink(missing_ok=True))  # type: ignore[misc]
        return len(orphans)

    def _insert(self, session: Session, user_id: str, record: PictureRecord) -> None:
        kept = session.scalar(select(func.coalesce(func.sum(Picture.bytes), 0)).where(Picture.user_id == user_id))
        if (kept or 0) + record.bytes > self._most_bytes:
            raise Conflict("You keep as many pictures as one may; delete some first.", field="picture")
        session.add(
            Picture(
                id=record.id,
                user_id=user_id,
                media_type=record.media_type,
                bytes=record.bytes,
                width=record.width,
                height=record.height,
                created_ms=record.created_ms,
            )
        )

    def _write(self, picture_id: str, data: bytes) -> None:
        path = self._path(picture_id)
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        fresh = path.with_suffix(".new")
        with open(fresh, "xb", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
            file.write(data)
        fresh.replace(path)

    def _unlink(self, picture_id: str) -> None:
        self._path(picture_id).unlink(missing_ok=True)
        with suppress(OSError):
            self._path(picture_id).with_suffix(".new").unlink(missing_ok=True)

    def _path(self, picture_id: str) -> Path:
        """By our own id only: nothing a client says becomes part of a path. The last letters are random."""
        return self._folder / picture_id[-2:] / picture_id

    @staticmethod
    def _apart(work: Callable[[], T]) -> T:
        """In a native thread, so that the hub does not wait for the disk."""
        try:
            result: T = gevent.get_hub().threadpool.apply(work)
        except FileNotFoundError:
            raise
        except OSError as error:
            log.error("the folder of pictures cannot be used: %s", error)
            raise ServerBusy("The server cannot store pictures now; try again later.", retry_after_s=30) from error
        return result
