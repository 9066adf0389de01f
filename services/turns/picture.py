"""Picture turns: a picture becomes text."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress

from sqlalchemy import select

from db.models import Turn
from db.unit_of_work import UnitOfWork
from services.errors import ChatError, Conflict, InvalidRequest
from services.identity import Identity
from services.ocr.base import ReaderCard, ReadRequest
from services.ocr.catalogue import Readers
from services.pictures.store import PictureRecord, Pictures
from services.pictures.uploads import Uploads
from services.relay.runner import ProviderEvent
from services.relay.watchdog import Deadline, Limits
from services.turns.bare import Bare, BareTurns
from services.turns.following import Following
from services.turns.picture_request import ReadingRequest
from services.turns.running import RunningTurn
from services.turns.turns import Turns

LIMITS = Limits(first_piece_s=120.0, idle_s=60.0, total_s=300.0)
"""Pictures wait in line for the local reader; each of them is read within seconds."""


class PictureTurns:
    """Starts readings; `Turns` runs them."""

    def __init__(
        self,
        *,
        turns: Turns,
        bare: BareTurns,
        readers: Readers,
        pictures: Pictures,
        uploads: Uploads,
        uow: UnitOfWork,
    ) -> None:
        self._turns = turns
        self._bare = bare
        self._readers = readers
        self._pictures = pictures
        self._uploads = uploads
        self._uow = uow

    def start(self, identity: Identity, request: ReadingRequest) -> tuple[Following, str]:
        """Have a picture read. The same `client_id` within 24 hours gives the same turn.

        Returns:
            The turn, and the id under which the picture is kept.

        Raises:
            ChatError: Refused; nothing was stored or reserved, and the `client_id` is free.
        """
        following = self._turns.once(identity, request.client_id, lambda: self._begin(identity, request))
        with self._uow.read() as session:
            picture = session.scalar(select(Turn.picture_id).where(Turn.id == following.log.turn_id))
        if not picture:
            raise Conflict("This client_id means another kind of turn.", field="client_id")
        return following, picture

    def _begin(self, identity: Identity, request: ReadingRequest) -> RunningTurn | None:
        reader, card = self._readers.find(request.task, request.model)
        user_id = identity.user_id
        fresh: list[PictureRecord] = []  # kept for this turn alone, until it has begun

        def prepare() -> Bare:
            record = self._record(user_id, request)
            if request.data is not None:
                fresh.append(record)

            def stream(deadline: Deadline) -> Iterator[ProviderEvent]:
                fits = self._pictures.fitted(record, max_bytes=card.max_bytes, max_side=card.max_side)
                yield from reader.read(_asked(request, card, fits, user_id), deadline)

            return Bare(
                user_id=user_id,
                client_id=request.client_id,
                kind="read",
                model=card.id,
                pictures=1 if card.paid or request.always_charged else 0,
                limits=LIMITS,
                stream=stream,
                picture=record.id,
            )

        running = None
        try:
            running = self._bare.begin(user_id, prepare)
        finally:
            if running is None:
                _forget(self._pictures.remove, user_id, fresh)
        return running

    def _record(self, user_id: str, request: ReadingRequest) -> PictureRecord:
        """The picture itself, stored."""
        if request.data is not None:
            return self._pictures.add(user_id, request.data)
        if request.picture is not None:
            return self._pictures.get(user_id, request.picture, field="picture")
        upload = self._uploads.find(user_id, request.upload or "")
        if upload.picture is None:
            raise InvalidRequest("This upload is not whole yet.", field="upload")
        return self._pictures.get(user_id, upload.picture.id, field="upload")


def _asked(request: ReadingRequest, card: ReaderCard, picture: tuple[str, bytes], user_id: str) -> ReadRequest:
    media_type, data = picture
    return ReadRequest(
        model=card.vendor_model,
        task=request.task,
        media_type=media_type,
        data=data,
        prompt=request.prompt,
        language=request.language,
        user=user_id,
    )


def _forget(remove: Callable[[str, str], None], user_id: str, records: list[PictureRecord]) -> None:
    for record in records:
        with suppress(ChatError):
            remove(user_id, record.id)
