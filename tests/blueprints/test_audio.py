"""`/v1/audio/transcriptions`: recordings in, transcripts out, in OpenAI's shapes and with its stock client."""

from __future__ import annotations

import io
import subprocess
import wave
from pathlib import Path
from typing import Any

import openai
import pytest
from werkzeug.test import TestResponse

from services.errors import VendorRefused
from services.turns.voice_request import VoiceRequest
from tests.blueprints.json_schema import faults
from tests.servers import Stand
from tests.services.speech.sounds import noise
from tests.speakers import words_of

RATE = 16_000


def wav_of(pcm: bytes, *, rate: int = RATE, channels: int = 1, width: int = 2) -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setframerate(rate)
        writer.setnchannels(channels)
        writer.setsampwidth(width)
        writer.writeframes(pcm)
    return file.getvalue()


def post(
    stand: Stand, data: bytes | None, name: str = "said.wav", kind: str = "audio/wav", **fields: str
) -> TestResponse:
    form: dict[str, Any] = dict(fields)
    if data is not None:
        form["file"] = (io.BytesIO(data), name, kind)
    return stand.site.client().post("/v1/audio/transcriptions", data=form, content_type="multipart/form-data")


def test_the_stock_client_transcribes_spoken_words(stand: Stand, tmp_path: Path) -> None:
    """A WAV made by others' programs, byte for byte what the recogniser was given."""
    said, path = tmp_path / "said.wav", tmp_path / "16k.wav"
    subprocess.run(["espeak-ng", "-w", said, "A recording is a turn like any other."], check=True)
    subprocess.run(["sox", "-v", "0.9", said, "-r", "16000", "-b", "16", "-c", "1", path], check=True)
    with wave.open(str(path)) as file:
        pcm = file.readframes(file.getnframes())
    token = stand.site.register("ann")["Authorization"].removeprefix("Bearer ")
    client = openai.OpenAI(base_url=stand.site.open() + "/v1", api_key=token, max_retries=0)
    told = client.audio.transcriptions.create(model="whisper-1", file=path, language="en")
    assert told.text == words_of(pcm)
    assert bytes(stand.ear.heard[0]) == pcm
    verbose = client.audio.transcriptions.create(model="ear", file=path, response_format="verbose_json")
    assert verbose.duration == pytest.approx(len(pcm) / 32_000, abs=0.001)
    assert "".join(segment.text for segment in verbose.segments or []) == verbose.text == told.text
    with pytest.raises(openai.NotFoundError) as unknown:
        client.audio.transcriptions.create(model="nobody", file=path)
    assert unknown.value.code == "model_unknown"


def test_pcm_is_taken_as_it_is(stand: Stand) -> None:
    """By the name of its file, or by its kind, which may tell the rate."""
    pcm = noise(1.2, RATE)
    assert post(stand, pcm, "said.pcm", "application/octet-stream").get_json()["text"] == words_of(pcm)
    answer = post(stand, pcm, "said", "audio/L16;rate=8000").get_json()
    assert answer == {"text": words_of(pcm, 8_000), "usage": {"type": "duration", "seconds": 3}}


def test_subtitles_have_their_times(stand: Stand) -> None:
    pcm = noise(0.75, RATE)
    first, second = words_of(pcm).split()
    srt = post(stand, wav_of(pcm), response_format="srt")
    assert srt.get_data(as_text=True) == (
        f"1\n00:00:00,000 --> 00:00:00,500\n{first}\n\n2\n00:00:00,500 --> 00:00:00,750\n{second}\n\n"
    )
    vtt = post(stand, wav_of(pcm), response_format="vtt").get_data(as_text=True)
    assert vtt.startswith("WEBVTT\n\n00:00:00.000 --> 00:00:00.500\n")
    assert post(stand, wav_of(pcm), response_format="text").get_data(as_text=True) == f"{first} {second}\n"


@pytest.mark.parametrize(
    ("data", "fields", "status", "code", "field"),
    [
        (None, {}, 400, "invalid_request", "file"),
        (b"", {}, 400, "invalid_request", "file"),
        (b"ID3\x04 an mp3", {}, 415, "unsupported_media", "file"),
        (b"RIFF\x04\x00\x00\x00WAVE", {}, 415, "unsupported_media", "file"),
        (wav_of(bytes(400), channels=2), {}, 415, "unsupported_media", "file"),
        (wav_of(bytes(400), width=1), {}, 415, "unsupported_media", "file"),
        (wav_of(bytes(400), rate=44_100), {}, 415, "unsupported_media", "file"),
        (wav_of(bytes(400)), {"model": "keyless"}, 503, "model_unavailable", "model"),
        (wav_of(bytes(400)), {"language": "fr", "model": "ear"}, 400, "invalid_request", "language"),
        (wav_of(bytes(400)), {"response_format": "xml"}, 400, "invalid_request", "response_format"),
        (wav_of(bytes(400)), {"stream": "true"}, 400, "invalid_request", "stream"),
    ],
)
def test_what_cannot_be_heard_is_refused(
    stand: Stand, data: bytes | None, fields: dict[str, str], status: int, code: str, field: str
) -> None:
    """Before any recogniser is asked."""
    answer = post(stand, data, **fields)
    error = answer.get_json()["error"]
    assert (answer.status_code, error["code"], error["param"]) == (status, code, field)
    assert stand.ear.heard == []


def test_a_recogniser_that_fails_is_an_error(stand: Stand) -> None:
    stand.ear.failure = VendorRefused("No.")
    answer = post(stand, wav_of(noise(1, RATE)))
    assert (answer.status_code, answer.get_json()["error"]["code"]) == (502, "vendor_refused")


def test_an_utterance_can_be_read_over_http(stand: Stand) -> None:
    """Entry by entry, as the contract says; the ending has what was taken."""
    pcm = noise(0.6, RATE)
    headers = stand.site.register("ann")
    identity = stand.services.doorkeeper.by_token(headers["Authorization"].removeprefix("Bearer "))
    following, _ = stand.services.voice_turns.start(identity, VoiceRequest("c-1", RATE))
    session = stand.services.voice_turns.session(identity, following.log.turn_id)
    assert session is not None
    session.feed(0, pcm)
    session.end("client")
    for running in stand.services.turns.running_here(identity):
        assert running.runner.wait(20)
    document = stand.site.client().get("/openapi.json").get_json()
    told = stand.site.client().get(f"/v1/turns/{following.log.turn_id}", headers=headers).get_json()
    assert faults(told, {"$ref": "#/components/schemas/Turn"}, document) == []
    assert [entry["event"] for entry in told["entries"]] == [
        "turn_state", "voice_partial", "voice_final", "voice_partial", "voice_final", "turn_end"
    ]  # fmt: skip
    assert told["entries"][-1]["bytes"] == len(pcm)
