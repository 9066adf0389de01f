"""Pictures on their way in, part by part: acknowledged, resumable on any worker, bounded in number, size and time."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import gevent
from gevent.lock import BoundedSemaphore

from services.clock import Clock
from services.errors import ChatError, Conflict, InvalidRequest, NotFound, RateLimited, ServerBusy, TooLarge
from services.ids import digest
from services.pictures.header import MAX_BYTES
from services.pictures.store import PictureRecord, Pictures
from services.pictures.upload_files import Locked, UploadFiles, UploadState

log = logging.getLogger(__name__)

T = TypeVar("T")

MAX_PART_BYTES = 262_144
MAX_PER_USER = 4
MAX_TOTAL_BYTES = 64 * 1_048_576
"""Announced by all users together: what the folder may have to hold."""
MAX_KEPT = 10_000
"""Uploads remembered at once, stored ones included: half a kilobyte each."""
EXPIRY_S = 600.0
"""After the last part."""
STORE_S = 90.0
LOCK_S = 2.0
_LOOK_S = 0.05
_ID = re.compile(r"u_[0-9a-f]{29}")


@dataclass(frozen=True, slots=True)
class Upload:
    """One picture on its way.

    Attributes:
        size: Bytes announced.
        next: The first byte that is still to come.
        picture: What it became, once it is stored.
    """

    id: str
    size: int
    next: int
    picture: PictureRecord | None = None


class Uploads:
    """Keeps them in a folder, so that one begun on one worker goes on on another. Every method yields."""

    def __init__(self, pictures: Pictures, clock: Clock, folder: Path) -> None:
        self._pictures = pictures
        self._clock = clock
        self._files = UploadFiles(folder)
        self._announced = 0
        self._mine = BoundedSemaphore(1)  # among this worker's greenlets; the files' lock is among workers

    def begin(self, user_id: str, client_id: str, size: int) -> Upload:
        """A new upload, or the one this `client_id` means already.

        Raises:
            Conflict: The same `client_id` with another size.
            TooLarge: No picture may have so many bytes.
            RateLimited: The user has too many under way.
            ServerBusy: All users together have.
        """
        if size > MAX_BYTES:
            raise TooLarge(f"A picture has at most {MAX_BYTES // 1_048_576} MB.", field="bytes")
        upload_id = "u_" + digest(f"{user_id}\n{client_id}")[:29]
        name = _name(user_id, upload_id)
        state = self._apart(lambda: self._begin(user_id, name, size))
        if state.size != size:
            raise Conflict("This client_id means an upload of another size.", field="bytes")
        try:
            return self._shown(user_id, upload_id, state)
        except NotFound:  # it was stored, and the picture is deleted since
            self._apart(lambda: self._files.delete(name))
            return self.begin(user_id, client_id, size)

    def find(self, user_id: str, upload_id: str) -> Upload:
        """Raises `NotFound`: never begun, expired, or another user's."""
        if not _ID.fullmatch(upload_id):
            raise _absent()
        name, oldest_ms = _name(user_id, upload_id), self._oldest_ms
        state = self._apart(lambda: self._files.state(name, oldest_ms))
        if state is None:
            raise _absent()
        return self._shown(user_id, upload_id, state)

    def part(self, user_id: str, upload_id: str, at: int, data: bytes) -> Upload:
        """Take a part in; after the last one the picture is stored.

        What came before is dropped, what would leave a hole is not taken: `next` tells where to go on.

        Raises:
            InvalidRequest: More than was announced.
            ChatError: It is whole, and no picture that can be kept. Unless a retry may help it is forgotten.
        """
        if not _ID.fullmatch(upload_id):
            raise _absent()
        name = _name(user_id, upload_id)
        for _ in range(round(STORE_S / _LOOK_S)):
            state, whole = self._apart(lambda: self._take(name, at, data))
            if whole is not None:
                return self._store(user_id, upload_id, state, whole)
            if not state.storing_until_ms:
                return self._shown(user_id, upload_id, state)
            gevent.sleep(_LOOK_S)  # another request brought the same end, maybe to another worker
        raise ServerBusy("This picture takes too long; send its end again.", retry_after_s=5)

    @property
    def announced_bytes(self) -> int:
        """Of uploads that are not stored yet, on all workers; what it last was while the folder cannot be read."""
        with suppress(ServerBusy):
            self._announced = sum(self._apart(lambda: self._files.names(self._oldest_ms)).values())
        return self._announced

    def _begin(self, user_id: str, name: str, size: int) -> UploadState:
        others = self._files.names(self._oldest_ms)
        now_ms = self._clock.now_ms()
        if (known := self._files.state(name, self._oldest_ms)) is not None:
            if known.size == size:
                self._files.write(name, known, now_ms)
            return known
        others.pop(name, None)
        self._files.delete(name)
        if sum(name.startswith(_owner(user_id)) and bool(rest) for name, rest in others.items()) >= MAX_PER_USER:
            raise RateLimited(f"You have {MAX_PER_USER} uploads under way; finish one first.", retry_after_s=5)
        if sum(others.values()) + size > MAX_TOTAL_BYTES or len(others) >= MAX_KEPT:
            raise ServerBusy("Too many pictures are being uploaded; try again in a moment.", retry_after_s=5)
        return self._files.create(name, size, now_ms)

    def _take(self, name: str, at: int, data: bytes) -> tuple[UploadState, bytes | None]:
        """The state after this part; and the whole picture, when it is the caller's to store it."""
        state, now_ms = self._files.state(name, self._oldest_ms), self._clock.now_ms()
        if state is None:
            raise _absent()
        if at + len(data) > state.size:
            raise InvalidRequest("This part goes beyond the bytes that were announced.", field="data")
        before, fresh = state.next, b""
        if at <= before < at + len(data):
            fresh = data[before - at :]
            state.next = at + len(data)
        is_ours = state.next == state.size and not state.picture and state.storing_until_ms < now_ms
        if is_ours:
            state.storing_until_ms = now_ms + round(STORE_S * 1000)
        self._files.write(name, state, now_ms, at=before, data=fresh)
        return state, self._files.read(name) if is_ours else None

    def _store(self, user_id: str, upload_id: str, state: UploadState, whole: bytes) -> Upload:
        name = _name(user_id, upload_id)
        state.storing_until_ms = 0
        try:
            picture = self._pictures.add(user_id, whole)
        except BaseException as error:
            if isinstance(error, ChatError) and not error.retryable:
                self._apart(lambda: self._files.delete(name))
            else:
                self._apart(lambda: self._files.write(name, state, self._clock.now_ms()))
            raise
        state.picture = picture.id
        self._apart(lambda: self._files.write(name, state, self._clock.now_ms()))
        return Upload(upload_id, state.size, state.next, picture)

    def _shown(self, user_id: str, upload_id: str, state: UploadState) -> Upload:
        picture = self._pictures.get(user_id, state.picture, field="upload") if state.picture else None
        return Upload(upload_id, state.size, state.next, picture)

    @property
    def _oldest_ms(self) -> int:
        return self._clock.now_ms() - round(EXPIRY_S * 1000)

    def _apart(self, work: Callable[[], T]) -> T:
        """In a native thread, with the folder to ourselves.

        Raises:
            ServerBusy: The disk does not work, or another worker hangs while it has the folder.
        """

        def locked() -> T:
            with self._files.locked():
                return work()

        waited_s = 0.0
        with self._mine:
            while True:
                try:
                    result: T = gevent.get_hub().threadpool.apply(locked)
                    return result
                except Locked:
                    if waited_s >= LOCK_S:
                        raise ServerBusy("The server cannot take pictures now; try again.", retry_after_s=5) from None
                except OSError as error:
                    log.error("the folder of uploads cannot be used: %s", error)
                    message = "The server cannot take pictures now; try again later."
                    raise ServerBusy(message, retry_after_s=30) from error
                gevent.sleep(_LOOK_S)
                waited_s += _LOOK_S


def _owner(user_id: str) -> str:
    return f"{digest(user_id)[:16]}-"


def _name(user_id: str, upload_id: str) -> str:
    return _owner(user_id) + upload_id


def _absent() -> NotFound:
    return NotFound("There is no such upload; it may have expired.", field="upload")
