"""`/PictureToTextModel/chat`: the text in a picture, for one of the user's `picTimes`."""

from __future__ import annotations

import flask

from blueprints.answering import Answer
from blueprints.compat.backend import CompatBlueprint
from blueprints.compat.spark_mobile_members import Members, from_header
from blueprints.compat.spark_mobile_uploads import illegal, uploaded
from blueprints.compat.spark_mobile_wire import Coded, fails_as, ok
from blueprints.compat.streamed import whole
from blueprints.streaming import Streams
from services.assembly import Services
from services.errors import QuotaExceeded, TooLarge, UnsupportedMedia
from services.ids import new_id
from services.pictures import header
from services.turns.picture_request import ReadingRequest

ENDINGS = ("jpg", "jpeg", "pcm", "png", "gif", "bmp", "webp")
"""What the old server let through, and what the desktop client's dialog offers; it must be a picture."""


def mount(blueprint: CompatBlueprint, services: Services, streams: Streams, members: Members) -> None:
    """Add the route."""

    @blueprint.post("/PictureToTextModel/chat")
    @fails_as("PICTURE_TO_TEXT_ERROR")
    def look() -> flask.Response:
        upload = uploaded()
        identity = members.known(from_header("uuid"), from_header("username"))
        with services.uow.read() as session:
            if services.ledger.balance(session, identity.user_id).pictures < 1:
                raise _used_up()
        upload.check_ending(*ENDINGS)
        try:
            header.check(upload.data)
        except (UnsupportedMedia, TooLarge) as error:
            raise illegal() from error
        asked = ReadingRequest(client_id=new_id("r"), task="ocr", data=upload.data, always_charged=True)
        try:
            following, _ = services.pictures.reading.start(identity, asked)
        except QuotaExceeded as error:
            raise _used_up() from error
        answer = Answer(services, streams, identity, following)
        whole(answer)
        return ok("成功", content=answer.log.answer())


def _used_up() -> Coded:
    return Coded("PIC_TIMES_NOT_ENOUGH", "图片次数不足。")
