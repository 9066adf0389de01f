"""`/voice` over a real port: sound taken once, captions to every device, limits told, answers started."""

from __future__ import annotations

import random
import subprocess
import wave
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gevent
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.errors import VendorOverloaded
from sockets.events import VOICE_CLIENT_EVENTS
from tests.scripted import words
from tests.servers import Stand
from tests.sockets.test_text_events import JSON
from tests.speakers import FRAME, Speaker, word_of, words_of

SENTENCE = "Voices come and voices go, and every single byte of them is taken exactly once, whatever the line does."
CUT_S = 2


@pytest.fixture
def address(stand: Stand) -> str:
    return stand.site.open()


@pytest.fixture
def speaker(address: str) -> Iterator[Speaker]:
    speaker = Speaker(address).connect()
    yield speaker
    speaker.client.disconnect()


@pytest.fixture(scope="module")
def speech(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Some seconds of synthetic speech as 16 kHz PCM."""
    folder: Path = tmp_path_factory.mktemp("speech")
    subprocess.run(["espeak-ng", "-w", folder / "said.wav", SENTENCE], check=True)
    subprocess.run(["sox", folder / "said.wav", "-r", "16000", "-b", "16", "-c", "1", folder / "16k.wav"], check=True)
    with wave.open(str(folder / "16k.wav")) as file:
        sound: bytes = file.readframes(file.getnframes())
    return sound


def noise(seed: int, frames: int) -> bytes:
    return random.Random(seed).randbytes(FRAME * frames)


def test_a_line_that_is_cut_every_two_seconds_loses_no_byte(stand: Stand, address: str, speech: bytes) -> None:
    """What is heard is what was said, and a second device reads the same captions, entry by entry."""
    first = Speaker(address).connect()
    listener = Speaker(address, token=first.token).connect()
    turn = first.start("c-1")["turn"]
    assert listener.call("turn_attach", {"turn": turn})["ok"]

    next_byte, resent = 0, 0
    captions: dict[int, tuple[str, str]] = {}
    while next_byte < len(speech):
        sent = next_byte
        for at in range(next_byte, min(next_byte + CUT_S * 32_000, len(speech)), FRAME):
            first.send(turn, at, speech[at : at + FRAME])
            gevent.sleep(0.002)
            sent = at + FRAME
        first.client.eio.disconnect(abort=True)
        captions |= {offset: (event, text) for offset, event, text in first.entries(turn)}
        first = Speaker(address, token=first.token).connect()
        again = first.start("c-1")
        assert again["turn"] == turn
        assert again["next"] <= sent
        resent += again["next"] < sent
        next_byte = again["next"]
    assert first.call("voice_end", {"turn": turn, "at": len(speech)})["next"] == len(speech)

    ending = first.end_of(turn)
    assert listener.end_of(turn) == ending
    assert (ending["status"], ending["bytes"], ending["ended_by"]) == ("done", len(speech), "client")
    assert (ending["model"], "note" in ending) == ("ear", False)
    assert bytes(stand.ear.heard[0]) == speech
    assert len(stand.ear.heard) == 1
    assert listener.transcript(turn) == words_of(speech)
    captions |= {offset: (event, text) for offset, event, text in first.entries(turn)}
    assert captions == {offset: (event, text) for offset, event, text in listener.entries(turn)}
    assert sorted(captions) == list(range(1, ending["offset"] + 1))


def test_thirty_speakers_hear_only_themselves(stand: Stand, address: str) -> None:
    """No word of one in the transcript of another."""
    said = {number: noise(number, 40 + number) for number in range(30)}

    def speak(number: int) -> tuple[str, str]:
        speaker = Speaker(address).connect()
        turn = speaker.start("same-name")["turn"]
        speaker.say(turn, said[number])
        ending = speaker.end_of(turn)
        speaker.client.disconnect()
        assert ending["bytes"] == len(said[number])
        return turn, speaker.transcript(turn)

    jobs = {number: gevent.spawn(speak, number) for number in said}
    heard = {number: job.get(timeout=60) for number, job in jobs.items()}
    assert len({turn for turn, _ in heard.values()}) == 30
    assert {number: text for number, (_, text) in heard.items()} == {n: words_of(pcm) for n, pcm in said.items()}


def test_bytes_out_of_place_are_told_and_none_is_invented(stand: Stand, speaker: Speaker) -> None:
    """A repetition is dropped, an overlap taken as far as it is new, a hole refused with the place to go on."""
    pcm = noise(1, 4)
    turn = speaker.start("c-1")["turn"]
    speaker.send(turn, 0, pcm[:FRAME])
    speaker.send(turn, 0, pcm[:FRAME])
    speaker.send(turn, FRAME // 2, pcm[FRAME // 2 : 2 * FRAME])
    speaker.send(turn, 3 * FRAME, pcm[3 * FRAME :])
    speaker.wait_for(lambda: speaker.of("voice_ack"))
    assert speaker.of("voice_ack")[0] == {"turn": turn, "next": 2 * FRAME}
    answer = speaker.call("voice_end", {"turn": turn, "at": len(pcm)})
    assert answer == {"ok": True, "next": 2 * FRAME}
    speaker.send(turn, 2 * FRAME, pcm[2 * FRAME :])
    assert speaker.call("voice_end", {"turn": turn, "at": len(pcm)})["next"] == len(pcm)
    speaker.end_of(turn)
    assert bytes(stand.ear.heard[0]) == pcm
    assert speaker.call("voice_end", {"turn": turn, "at": len(pcm)})["next"] == len(pcm)


def test_frames_are_acknowledged_while_they_flow(speaker: Speaker) -> None:
    """And the last of them when they stop flowing."""
    pcm = noise(2, 10)
    turn = speaker.start("c-1")["turn"]
    for at in range(0, len(pcm), FRAME):
        speaker.send(turn, at, pcm[at : at + FRAME])
    speaker.wait_for(lambda: {"turn": turn, "next": len(pcm)} in speaker.of("voice_ack"))


def test_more_than_waits_is_refused_and_taken_later(stand: Stand, speaker: Speaker) -> None:
    """Two seconds may wait for a recogniser that does not listen; then every byte arrives all the same."""
    stand.ear.deaf.clear()
    pcm = noise(3, 100)
    turn = speaker.start("c-1")["turn"]
    for at in range(0, len(pcm), FRAME):
        speaker.send(turn, at, pcm[at : at + FRAME])
    speaker.wait_for(lambda: speaker.of("voice_overrun"))
    assert speaker.of("voice_overrun")[0] == {"turn": turn, "next": 64_000}
    stand.ear.deaf.set()
    speaker.say(turn, pcm, start=64_000)
    speaker.end_of(turn)
    assert bytes(stand.ear.heard[0]) == pcm


@pytest.mark.parametrize(
    ("wrong", "code", "field"),
    [
        ({"pcm": b"odd"}, "invalid_request", "pcm"),
        ({"pcm": b""}, "invalid_request", "pcm"),
        ({"pcm": "text"}, "invalid_request", "pcm"),
        ({"pcm": bytes(65_538)}, "too_large", "pcm"),
        ({"pcm": b"RIFF\x24\x00\x00\x00WAVEfmt "}, "unsupported_media", "pcm"),
        ({"at": 1}, "invalid_request", "at"),
        ({"at": -2}, "invalid_request", "at"),
        ({"at": "0"}, "invalid_request", "at"),
        ({"turn": "t_none"}, "not_found", "turn"),
        ({"turn": {}}, "invalid_request", "turn"),
    ],
)
def test_a_wrong_frame_is_told_and_the_utterance_goes_on(
    stand: Stand, speaker: Speaker, wrong: dict[str, Any], code: str, field: str
) -> None:
    """Nothing of it is taken."""
    turn = speaker.start("c-1")["turn"]
    speaker.client.emit("voice_frame", {"turn": turn, "at": 0, "pcm": b"\0\0", **wrong}, namespace="/voice")
    speaker.wait_for(lambda: speaker.of("voice_refused"))
    (refused,) = speaker.of("voice_refused")
    assert (refused["error"]["code"], refused["error"]["field"]) == (code, field)
    assert refused.get("next", 0) == 0
    speaker.say(turn, b"\1\0" * 100)
    speaker.end_of(turn)
    assert bytes(stand.ear.heard[0]) == b"\1\0" * 100


@pytest.mark.parametrize("payload", [None, "text", [], {}])
def test_a_frame_that_is_no_frame_is_told(speaker: Speaker, payload: Any) -> None:
    speaker.client.emit("voice_frame", payload, namespace="/voice")
    speaker.wait_for(lambda: speaker.of("voice_refused"))
    assert speaker.of("voice_refused")[0]["error"]["code"] == "invalid_request"


@pytest.mark.parametrize(
    ("wrong", "code", "field"),
    [
        ({"encoding": "pcm_f32le"}, "unsupported_media", "encoding"),
        ({"rate": 44_100}, "unsupported_media", "rate"),
        ({"channels": 2}, "unsupported_media", "channels"),
        ({"encoding": None}, "invalid_request", "encoding"),
        ({"client_id": ""}, "invalid_request", "client_id"),
        ({"answer": "yes"}, "invalid_request", "answer"),
        ({"model": "none"}, "model_unknown", "model"),
        ({"model": "keyless"}, "model_unavailable", "model"),
        ({"model": "ear", "language": "fr"}, "invalid_request", "language"),
        ({"language": "fr"}, "model_unavailable", "language"),
    ],
)
def test_sound_this_server_cannot_take_is_refused_at_the_start(
    speaker: Speaker, wrong: dict[str, Any], code: str, field: str
) -> None:
    """And the client's name for it stays free."""
    asked = {"client_id": "c-1", "encoding": "pcm_s16le", "rate": 16_000, "channels": 1}
    error = speaker.call("voice_start", {**asked, **wrong})["error"]
    assert (error["code"], error["field"]) == (code, field)
    assert speaker.call("voice_start", asked)["ok"]


def test_another_user_cannot_speak_into_a_turn_or_end_it(speaker: Speaker, address: str) -> None:
    """It looks as if there were none."""
    turn = speaker.start("c-1")["turn"]
    stranger = Speaker(address).connect()
    stranger.send(turn, 0, b"\0\0")
    stranger.wait_for(lambda: stranger.of("voice_refused"))
    assert stranger.of("voice_refused")[0]["error"]["code"] == "not_found"
    assert "next" not in stranger.of("voice_refused")[0]
    for event in ("voice_end", "voice_cancel", "turn_attach"):
        assert stranger.call(event, {"turn": turn, "at": 0})["error"]["code"] == "not_found"
    assert speaker.start("c-1")["next"] == 0
    stranger.client.disconnect()


def test_a_transcript_is_answered_on_the_same_socket(stand: Stand, speaker: Speaker, address: str) -> None:
    """The whole of it is the question; every device that follows the utterance follows the answer."""
    stand.provider.script = words("It ", "is.")
    listener = Speaker(address, token=speaker.token).connect()
    pcm = noise(4, 30)
    turn = speaker.start("c-1", answer={})["turn"]
    listener.call("turn_attach", {"turn": turn})
    speaker.say(turn, pcm)
    speaker.end_of(turn)
    for device in (speaker, listener):
        (told,) = device.of("voice_answer", turn)
        assert device.end_of(told["answer"])["status"] == "done"
        assert "".join(delta["text"] for delta in device.of("turn_delta", told["answer"])) == "It is."
    assert stand.provider.requests[0].messages[-1].text == words_of(pcm)
    listener.client.disconnect()


def test_an_answer_that_is_refused_leaves_the_transcript_good(stand: Stand, speaker: Speaker) -> None:
    turn = speaker.start("c-1", answer={"conversation": "c_none"})["turn"]
    speaker.say(turn, noise(5, 4))
    ending = speaker.end_of(turn)
    assert ending["status"] == "done"
    assert ending["answer_error"]["code"] == "not_found"
    assert speaker.of("voice_answer") == []


def test_a_cancelled_utterance_ends_at_once(stand: Stand, speaker: Speaker) -> None:
    """Nothing is answered, the recogniser is let go, and the name means the same, ended turn."""
    turn = speaker.start("c-1", answer={})["turn"]
    speaker.send(turn, 0, noise(6, 1))
    assert speaker.call("voice_cancel", {"turn": turn}) == {"ok": True}
    ending = speaker.end_of(turn)
    assert (ending["status"], ending["reason"], ending["bytes"]) == ("stopped", "user", FRAME)
    assert stand.provider.requests == []
    assert speaker.start("c-1")["next"] == FRAME
    speaker.send(turn, FRAME, noise(6, 1))
    speaker.wait_for(lambda: speaker.of("voice_refused"))


def test_words_heard_before_a_recogniser_fails_are_kept(stand: Stand, speaker: Speaker) -> None:
    """The ending says what happened; the transcript so far is stored, and can be read again."""
    pcm = noise(7, 20)
    turn = speaker.start("c-1")["turn"]
    speaker.send(turn, 0, pcm[:16_000])
    speaker.wait_for(lambda: speaker.of("voice_final"))
    stand.ear.failure = VendorOverloaded("The recogniser broke off.")
    speaker.send(turn, 16_000, pcm[16_000:])
    assert speaker.call("voice_end", {"turn": turn, "at": len(pcm)})["ok"]
    ending = speaker.end_of(turn)
    assert (ending["status"], ending["error"]["code"]) == ("failed", "vendor_overloaded")
    assert speaker.transcript(turn) == word_of(pcm[:16_000])
    assert ending["length"] == len(speaker.transcript(turn))


def test_a_voice_turn_is_among_those_that_run(speaker: Speaker) -> None:
    """Another device finds it by `sync`; `turn_stop` ends it by the client's name."""
    turn = speaker.start("c-1")["turn"]
    assert [running["turn"] for running in speaker.call("sync", None)["running"]] == [turn]
    assert speaker.call("turn_stop", {"client_id": "c-1"})["status"] == "stopped"


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(event=st.sampled_from(VOICE_CLIENT_EVENTS), payload=JSON)
def test_no_shape_breaks_the_connection(speaker: Speaker, event: str, payload: Any) -> None:
    """Whatever JSON comes, the answer is never `internal`; a frame without an answer leaves the line alive."""
    if event == "voice_frame":
        speaker.client.emit(event, payload, namespace="/voice")
    elif not (answer := speaker.call(event, payload))["ok"]:
        assert answer["error"]["code"] != "internal"
    assert speaker.call("sync", None)["ok"]
    assert all(refused["error"]["code"] != "internal" for refused in speaker.of("voice_refused"))


def test_the_welcome_names_the_recognisers(speaker: Speaker) -> None:
    """With what they understand, and the limits of an utterance."""
    first = speaker.welcome["models"][0]
    assert first == {
        "id": "ear",
        "name": "Ear",
        "provider": "ear",
        "available": True,
        "languages": ["en", "zh"],
        "note": "",
    }
    assert speaker.welcome["limits"]["voice_ahead_s"] == 2
