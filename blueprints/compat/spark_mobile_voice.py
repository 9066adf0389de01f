"""`/voiceModel/chat`: a recording becomes text."""

from __future__ import annotations

import flask
from flask import request

from blueprints.answering import Answer
from blueprints.compat.backend import CompatBlueprint
from blueprints.compat.spark_mobile_members import Members, from_header
from blueprints.compat.spark_mobile_uploads import illegal, uploaded
from blueprints.compat.spark_mobile_wire import fails_as, ok
from blueprints.compat.streamed import whole
from blueprints.compat.visitors import Visitors
from blueprints.identity import Callers
from blueprints.streaming import Streams
from services.assembly import Services
from services.identity import Identity
from services.ids import new_id
from services.speech.pcm import is_file
from services.turns.voice_request import VoiceRequest
from services.turns.voice_session import Verdict, VoiceSession

RATE_HZ = 16_000
ENDINGS = ("pcm", "jpg", "jpeg")
"""What the old server let through; whatever its name, it must be samples."""
PIECE_BYTES = 32_000
ROOM_S = 30.0


def mount(blueprint: CompatBlueprint, services: Services, callers: Callers, streams: Streams, members: Members) -> None:
    """Add the route."""
    visitors = Visitors(services, callers, "spark-mobile")
    login_needed = services.settings.spark_mobile.voice_login

    def speaker() -> Identity:
        """The user the headers name, as the desktop client sends them; else the guest of the address."""
        uuid, username = from_header("uuid"), from_header("username")
        if login_needed or (uuid and username):
            return members.known(uuid, username)
        return visitors.of_address()

    @blueprint.post("/voiceModel/chat")
    @fails_as("AUDIO_TO_TEXT_ERROR")
    def hear() -> flask.Response:
        visitors.admit()
        upload = uploaded()
        upload.check_ending(*ENDINGS)
        if is_file(upload.data) or upload.data[:3] == b"\xff\xd8\xff" or len(upload.data) % 2:
            raise illegal()
        identity = speaker()
        asked = VoiceRequest(client_id=new_id("r"), rate=RATE_HZ, is_live=False)
        following, _ = services.voice_turns.start(identity, asked)
        answer = Answer(services, streams, identity, following)
        try:
            if (session := services.voice_turns.session(identity, answer.log.turn_id)) is not None:
                _feed(session, upload.data)
        except BaseException:
            answer.leave()
            raise
        whole(answer)
        return ok("成功", content=answer.log.answer())


def _feed(session: VoiceSession, pcm: bytes) -> None:
    """Pass the recording on as fast as it is taken; a client that leaves meanwhile ends the utterance."""
    peer_left = request.environ.get("parley.peer_left", lambda: False)
    while session.next < len(pcm) and not peer_left():
        verdict = session.feed(session.next, pcm[session.next : session.next + PIECE_BYTES])
        if verdict is Verdict.OVERRUN:
            session.wait_for_room(ROOM_S)
        elif verdict is not Verdict.TAKEN:
            break
    session.end("client")
