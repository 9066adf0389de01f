"""`/picture`: pictures are read and drawn; what comes of them goes out as `turn_delta` and `turn_end`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from services.identity import Identity
from services.picture_assembly import PictureServices
from services.pictures.header import MAX_BYTES
from services.pictures.uploads import Upload
from services.turns.turns import Turns
from services.turns.welcome import Welcomes
from sockets.delivery import Delivery
from sockets.following import FollowingNamespace
from sockets.namespace import Ack, Entrance, answers
from sockets.picture_events import DrawPicture, PicturePart, ReadPicture, UploadPicture


class PictureNamespace(FollowingNamespace):
    """Translates events to the services of pictures; has no logic of its own."""

    max_attachment_bytes = MAX_BYTES

    def __init__(
        self,
        *,
        entrance: Entrance,
        delivery: Delivery,
        turns: Turns,
        pictures: PictureServices,
        welcomes: Welcomes,
        count_error: Callable[[str], None],
    ) -> None:
        super().__init__("/picture", entrance=entrance, delivery=delivery, turns=turns, count_error=count_error)
        self._pictures = pictures
        self._welcomes = welcomes

    def welcome(self, identity: Identity) -> dict[str, Any]:
        readers = [card.to_wire() for card in self._pictures.readers.cards()]
        painters = [card.to_wire() for card in self._pictures.painters.cards()]
        return {**self._welcomes.for_user(identity), "readers": readers, "painters": painters}

    @answers(ReadPicture)
    def on_picture_read(self, sid: str, event: ReadPicture) -> Ack:
        following, picture = self._pictures.reading.start(self.identity(sid), event.request)
        self.follow(sid, following, event.window_s)
        return {**self.place(following), "picture": picture}

    @answers(DrawPicture)
    def on_picture_draw(self, sid: str, event: DrawPicture) -> Ack:
        following = self._pictures.drawing.start(self.identity(sid), event.request)
        self.follow(sid, following, event.window_s)
        return self.place(following)

    @answers(UploadPicture)
    def on_picture_upload(self, sid: str, event: UploadPicture) -> Ack:
        return _so_far(self._pictures.uploads.begin(self.identity(sid).user_id, event.client_id, event.size))

    @answers(PicturePart)
    def on_picture_part(self, sid: str, event: PicturePart) -> Ack:
        return _so_far(self._pictures.uploads.part(self.identity(sid).user_id, event.upload, event.at, event.data))


def _so_far(upload: Upload) -> Ack:
    ack: Ack = {"upload": upload.id, "next": upload.next}
    if upload.picture is not None:
        ack["picture"] = upload.picture.to_wire()
    return ack
