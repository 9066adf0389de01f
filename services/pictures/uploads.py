"""Pictures on their way in, part by part: acknowledged, resumable, bounded in number, size and time."""

from __future__ import annotations

from dataclasses import dataclass, field

from gevent.event import AsyncResult

from services.clock import Clock
from services.errors import ChatError, Conflict, InvalidRequest, NotFound, RateLimited, ServerBusy, TooLarge
from services.ids import new_id
from services.pictures.header import MAX_BYTES
from services.pictures.store import PictureRecord, Pictures

MAX_PART_BYTES = 262_144
MAX_PER_USER = 4
MAX_TOTAL_BYTES = 64 * 1_048_576
"""Announced by all users together: what this process may have to hold."""
MAX_KEPT = 10_000
"""Uploads remembered at once, stored ones included: a few hundred bytes each."""
EXPIRY_S = 600.0
"""After the last part."""
STORE_S = 90.0


@dataclass(slots=True)
class Upload:
    """One picture on its way.

    Attributes:
        size: Bytes announced.
        picture: What it became, once it is stored.
        storing: Set while it is being stored: a part that is sent again waits for the same outcome.
    """

    id: str
    user_id: str
    client_id: str
    size: int
    touched: float
    data: bytearray = field(default_factory=bytearray)
    next: int = 0
    picture: PictureRecord | None = None
    storing: AsyncResult[PictureRecord] | None = None


class Uploads:
    """Holds them in memory. Only the end of an upload yields: it is stored then."""

    def __init__(self, pictures: Pictures, clock: Clock) -> None:
        self._pictures = pictures
        self._clock = clock
        self._uploads: dict[str, Upload] = {}

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
        self._forget_old()
        mine = [upload for upload in self._uploads.values() if upload.user_id == user_id]
        for upload in mine:
            if upload.client_id == client_id:
                if upload.size != size:
                    raise Conflict("This client_id means an upload of another size.", field="bytes")
                upload.touched = self._clock.monotonic()
                return upload
        if sum(upload.picture is None for upload in mine) >= MAX_PER_USER:
            raise RateLimited(f"You have {MAX_PER_USER} uploads under way; finish one first.", retry_after_s=5)
        if self.announced_bytes + size > MAX_TOTAL_BYTES or len(self._uploads) >= MAX_KEPT:
            raise ServerBusy("Too many pictures are being uploaded; try again in a moment.", retry_after_s=5)
        upload = Upload(new_id("u"), user_id, client_id, size, self._clock.monotonic())
        self._uploads[upload.id] = upload
        return upload

    def find(self, user_id: str, upload_id: str) -> Upload:
        """Raises `NotFound`: never begun, expired, or another user's."""
        self._forget_old()
        upload = self._uploads.get(upload_id)
        if upload is None or upload.user_id != user_id:
            raise NotFound("There is no such upload; it may have expired.", field="upload")
        return upload

    def part(self, user_id: str, upload_id: str, at: int, data: bytes) -> Upload:
        """Take a part in; after the last one the picture is stored.

        What came before is dropped, what would leave a hole is not taken: `next` tells where to go on.

        Raises:
            InvalidRequest: More than was announced.
            ChatError: It is whole, and no picture that can be kept. Unless a retry may help it is forgotten.
        """
        upload = self.find(user_id, upload_id)
        if at + len(data) > upload.size:
            raise InvalidRequest("This part goes beyond the bytes that were announced.", field="data")
        upload.touched = self._clock.monotonic()
        if upload.picture is None and at <= upload.next < at + len(data):
            upload.data += data[upload.next - at :]
            upload.next = at + len(data)
        if upload.next == upload.size and upload.picture is None:
            self._store(upload)
        return upload

    def _store(self, upload: Upload) -> None:
        if upload.storing is not None:
            upload.storing.get(timeout=STORE_S)
            return
        upload.storing = AsyncResult()
        try:
            upload.picture = self._pictures.add(upload.user_id, bytes(upload.data))
        except BaseException as error:
            upload.storing.set_exception(error)
            upload.storing = None
            if isinstance(error, ChatError) and not error.retryable:
                self._uploads.pop(upload.id, None)
            raise
        upload.storing.set(upload.picture)
        upload.storing = None
        upload.data = bytearray()

    @property
    def announced_bytes(self) -> int:
        """Of uploads that are not stored yet."""
        return sum(upload.size for upload in self._uploads.values() if upload.picture is None)

    def _forget_old(self) -> None:
        oldest = self._clock.monotonic() - EXPIRY_S
        for upload in [upload for upload in self._uploads.values() if upload.touched < oldest]:
            del self._uploads[upload.id]
