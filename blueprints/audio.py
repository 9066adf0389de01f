"""`/v1/audio/transcriptions`: a recording becomes a voice turn, for programs that speak OpenAI's shape."""

from __future__ import annotations

from collections.abc import Callable

import flask
from flask import request

from blueprints import audio_shapes as shapes
from blueprints import openai_shapes
from blueprints.answering import Answer
from blueprints.identity import Callers
from blueprints.replies import error_to_wire, reads_chinese, refusal, reply
from blueprints.sound_files import read_recording
from blueprints.streaming import Streams
from services.assembly import Services
from services.errors import Interrupted, InvalidRequest, TooLarge, Unauthenticated, UnsupportedMedia
from services.events import TranscriptFinal
from services.fields import Fields
from services.ids import new_id
from services.speech.pcm import bytes_of
from services.turns.voice_request import VoiceRequest
from services.turns.voice_session import Verdict, VoiceSession

ROOM_FOR_FIELDS = 65_536
PIECE_S = 1.0
LOOK_S = 1.0
ANY_MODEL = ("whisper-1",)
"""What clients write who know only one: it means the default here."""


def build(services: Services, callers: Callers, streams: Streams) -> flask.Blueprint:
    """The route."""
    blueprint = flask.Blueprint("audio", __name__)
    longest_s = services.settings.voice.max_s

    @blueprint.errorhandler(Exception)
    def refuse(error: Exception) -> flask.Response:
        refused = refusal(error)
        services.metrics.errors.labels(refused.error.code).inc()
        wire = error_to_wire(refused.error, chinese=reads_chinese())
        headers = {**refused.headers, "x-should-retry": "true" if refused.error.retryable else "false"}
        return reply(openai_shapes.error_envelope(wire, refused.error), refused.status, headers)

    @blueprint.post("/v1/audio/transcriptions")
    def transcribe() -> flask.Response:
        identity = callers.known()
        if identity is None:
            if "Authorization" in request.headers or not services.doorkeeper.guests_allowed:
                raise Unauthenticated("Send a token of this server as the API key.")
            identity = callers.guest_of_address()
        request.max_content_length = bytes_of(longest_s, 16_000) + ROOM_FOR_FIELDS
        if request.mimetype != "multipart/form-data":
            raise UnsupportedMedia("The body must be multipart/form-data with a file.", field="file")
        fields = Fields(request.form.to_dict(), name="body")
        form = fields.optional_text("response_format", longest=32) or "json"
        if form not in shapes.FORMATS:
            known = ", ".join(shapes.FORMATS)
            raise InvalidRequest(f"response_format must be one of {known}.", field="response_format")
        if request.form.get("stream", "false").lower() not in ("false", "0", ""):
            raise InvalidRequest("stream is not served here; speak on /voice.", field="stream")
        if (file := request.files.get("file")) is None:
            raise InvalidRequest("file is missing.", field="file")
        recording = read_recording(file)
        if len(recording.pcm) > bytes_of(longest_s, recording.rate):
            raise TooLarge(f"A recording lasts at most {longest_s:g} seconds.", field="file")
        model = fields.optional_text("model", longest=128)
        language = fields.optional_text("language", longest=16)
        following, _ = services.voice_turns.start(
            identity,
            VoiceRequest(
                client_id=new_id("r"),
                rate=recording.rate,
                language=language,
                model=None if model in ANY_MODEL else model,
                is_live=False,
            ),
        )
        answer = Answer(services, streams, identity, following)
        try:
            session = services.voice_turns.session(identity, answer.log.turn_id)
            if session is not None:
                _feed(session, recording.pcm, request.environ.get("parley.peer_left", lambda: False))
            ended = answer.ended()
        finally:
            answer.leave()
        text, audio_ms = answer.log.answer(), int((ended.result or {}).get("audio_ms", 0))
        spans = answer.log.read(0, 10**9)
        finals = [span.event for span in spans if isinstance(span.event, TranscriptFinal)]
        if form == "json":
            return reply(shapes.whole(text, audio_ms))
        if form == "verbose_json":
            return reply(shapes.verbose(finals, text, audio_ms, language))
        if form == "text":
            return flask.Response(text + "\n", mimetype="text/plain")
        if form == "srt":
            return flask.Response(shapes.srt(finals), mimetype="text/plain")
        return flask.Response(shapes.vtt(finals), mimetype="text/vtt")

    return blueprint


def _feed(session: VoiceSession, pcm: bytes, peer_left: Callable[[], bool]) -> None:
    """Pass the recording on as fast as the recogniser takes it.

    Raises:
        Interrupted: The client left.
    """
    size = bytes_of(PIECE_S, session.rate)
    while session.next < len(pcm):
        verdict = session.feed(session.next, pcm[session.next : session.next + size])
        if verdict is Verdict.OVERRUN:
            session.wait_for_room(LOOK_S)
            if peer_left():
                raise Interrupted("The client left.")
        elif verdict is Verdict.OVER:
            return
    session.end("client")
