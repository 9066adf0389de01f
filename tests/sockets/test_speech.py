"""Answers read aloud on `/voice`: sentence by sentence while they are written, silent at once when hushed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from gevent.event import Event

from db.models import Turn
from services.errors import VendorOverloaded, VendorRefused
from services.events import Stop, TextDelta
from services.providers.base import ChatRequest
from services.turns import speech
from sockets.voice import _Hearer
from tests.scripted import words
from tests.servers import Stand
from tests.speakers import FRAME, Speaker
from tests.tongues import LETTER_MS, sound_of

ANSWER = ("It is so. ", "Then it was not. ", "Later, ", "it may be.")
SENTENCES = ["It is so.", "Then it was not.", "Later, it may be."]


@pytest.fixture
def speaker(stand: Stand) -> Iterator[Speaker]:
    speaker = Speaker(stand.site.open()).connect()
    yield speaker
    speaker.client.disconnect()


def ask(speaker: Speaker, name: str = "c-1", speak: Any = True) -> tuple[str, dict[str, Any]]:
    """Say something; the answer's turn, and what the start was told."""
    told = speaker.start(name, answer={"speak": speak})
    turn = told["turn"]
    speaker.say(turn, b"\1\0" * FRAME)
    speaker.wait_for(lambda: speaker.of("voice_answer", turn))
    return speaker.of("voice_answer", turn)[0]["answer"], told


def over(speaker: Speaker, turn: str) -> dict[str, Any]:
    speaker.wait_for(lambda: speaker.of("voice_speech_over", turn))
    (told,) = speaker.of("voice_speech_over", turn)
    return told


def sound(speaker: Speaker, turn: str, sentence: int) -> bytes:
    heard = b""
    for piece in speaker.of("voice_speech", turn):
        if piece["sentence"] == sentence:
            assert piece["at"] == len(heard)
            heard += piece["pcm"]
    return heard


def message_of(stand: Stand, speaker: Speaker, turn: str) -> dict[str, Any]:
    ending = speaker.end_of(turn)
    headers = {"Authorization": f"Bearer {speaker.token}"}
    running = stand.site.client().get("/v1/conversations", headers=headers).get_json()["conversations"]
    path = f"/v1/conversations/{running[0]['id']}/messages"
    messages = stand.site.client().get(path, headers=headers).get_json()["messages"]
    return next(message for message in messages if message["id"] == ending["message"])


def noted(stand: Stand, speaker: Speaker, turn: str) -> dict[str, Any]:
    """The answer's message, once what was heard of it is written."""
    for _ in range(200):
        if "heard_chars" in (message := message_of(stand, speaker, turn)):
            return message
        Event().wait(0.05)
    raise AssertionError(message)


@pytest.mark.parametrize(("speak", "rate"), [(True, 24_000), ({"rate": 16_000, "voice": "tongue"}, 16_000)])
def test_an_answer_is_read_sentence_by_sentence(stand: Stand, speaker: Speaker, speak: Any, rate: int) -> None:
    """Every byte in its place, every sentence with its text and its place in the answer; nothing is marked unheard."""
    stand.provider.script = words(*ANSWER)
    turn, told = ask(speaker, speak=speak)
    assert told["speech"] == {"voice": "tongue", "note": "Only noise."}
    assert over(speaker, turn)["reason"] == "done"
    ends = speaker.of("voice_speech_end", turn)
    assert [end["text"] for end in ends] == SENTENCES
    assert ["".join(ANSWER)[end["start"] : end["end"]].strip() for end in ends] == SENTENCES
    for number, text in enumerate(SENTENCES):
        assert sound(speaker, turn, number) == sound_of(text, rate)
    assert {piece["rate"] for piece in speaker.of("voice_speech", turn)} == {rate}
    assert speaker.call("voice_hush", {"turn": turn, "heard": over(speaker, turn)["ms"]}) == {"ok": True}
    assert "heard_chars" not in message_of(stand, speaker, turn)


def test_it_is_heard_while_the_model_still_writes(stand: Stand, speaker: Speaker) -> None:
    more = Event()

    def script(request: ChatRequest) -> Iterator[Any]:
        yield TextDelta("First this. Then")
        assert more.wait(20)
        yield TextDelta(" that.")
        yield Stop("stop")

    stand.provider.script = script
    turn, _ = ask(speaker)
    speaker.wait_for(lambda: speaker.of("voice_speech_end", turn))
    assert speaker.of("turn_end", turn) == []
    more.set()
    over(speaker, turn)
    assert stand.tongue.said == ["First this.", "Then that."]


def test_hushed_it_is_silent_at_once_and_the_rest_is_marked(stand: Stand, speaker: Speaker) -> None:
    """`heard` is how much was played; the text answer goes on."""
    stand.provider.script = words("Half of it. ", *(f"And number {n} of many. " for n in range(400)))
    turn, _ = ask(speaker)
    speaker.wait_for(lambda: speaker.of("voice_speech_end", turn))
    answer = speaker.call("voice_hush", {"turn": turn, "heard": LETTER_MS * len("Half of it.") // 2})
    assert answer["heard_chars"] in (5, 6)
    said = len(speaker.of("voice_speech", turn))
    assert speaker.end_of(turn)["status"] == "done"
    assert len(speaker.of("voice_speech", turn)) == said
    assert noted(stand, speaker, turn)["heard_chars"] == answer["heard_chars"]
    assert len(stand.tongue.said) < 400


def test_speaking_again_hushes(stand: Stand, speaker: Speaker) -> None:
    stand.provider.script = words(*(f"Number {n} of many. " for n in range(400)))
    turn, _ = ask(speaker)
    speaker.wait_for(lambda: speaker.of("voice_speech", turn))
    speaker.start("c-2")
    said = len(speaker.of("voice_speech", turn))
    speaker.end_of(turn)
    assert len(speaker.of("voice_speech", turn)) == said
    assert noted(stand, speaker, turn)["heard_chars"] < 400 * 15


def test_a_stopped_answer_is_silent_at_once(stand: Stand, speaker: Speaker) -> None:
    def script(request: ChatRequest) -> Iterator[Any]:
        for number in range(400):
            yield TextDelta(f"Number {number} of many. ")
        Event().wait(20)

    stand.provider.script = script
    turn, _ = ask(speaker)
    speaker.wait_for(lambda: speaker.of("voice_speech", turn))
    assert speaker.call("turn_stop", {"turn": turn})["status"] == "stopped"
    assert over(speaker, turn)["reason"] == "stopped"


def test_sound_is_not_sent_far_ahead_of_its_time(stand: Stand, speaker: Speaker) -> None:
    """An hour of answer is not made, or sent, when five seconds would do."""
    stand.provider.script = words(*(f"Sentence number {n} of very many. " for n in range(200)))
    turn, _ = ask(speaker)
    speaker.end_of(turn)
    speaker.wait_for(lambda: len(speaker.of("voice_speech_end", turn)) >= 5)
    assert len(stand.tongue.said) * 30 * LETTER_MS < (speech.AHEAD_S + 10) * 1000
    speaker.call("voice_hush", {"turn": turn})


@pytest.mark.parametrize(
    ("failure", "reason", "said"),
    [(VendorOverloaded("Busy."), "done", [SENTENCES[1], SENTENCES[2]]), (VendorRefused("No."), "failed", [])],
)
def test_a_voice_that_fails_costs_no_word_of_the_text(
    stand: Stand, speaker: Speaker, failure: Exception, reason: str, said: list[str]
) -> None:
    """A sentence that fails for a moment is left out; a refusal ends the sound, and is told."""
    stand.provider.script = words(*ANSWER)
    stand.tongue.failures = [failure]
    turn, _ = ask(speaker)
    told = over(speaker, turn)
    assert (told["reason"], "error" in told) == (reason, reason == "failed")
    assert [end["text"] for end in speaker.of("voice_speech_end", turn) if end["ms"]] == said
    assert speaker.end_of(turn)["status"] == "done"


def test_without_a_voice_the_text_comes_with_a_note(stand: Stand, speaker: Speaker) -> None:
    stand.tongue.is_available = False
    stand.provider.script = words(*ANSWER)
    turn, told = ask(speaker)
    assert told["speech"]["voice"] is None
    assert "no voice is available" in told["speech"]["note"]
    assert speaker.end_of(turn)["status"] == "done"
    assert speaker.of("voice_speech") == []
    assert [voice["id"] for voice in speaker.welcome["voices"]] == ["tongue", "keyless-voice"]


@pytest.mark.parametrize(
    ("speak", "code", "field"),
    [
        ("yes", "invalid_request", "answer.speak"),
        ({"rate": 8_000}, "invalid_request", "answer.speak.rate"),
        ({"voice": "nobody"}, "model_unknown", "answer.speak.voice"),
    ],
)
def test_wrong_wishes_are_refused(speaker: Speaker, speak: Any, code: str, field: str) -> None:
    asked = {"client_id": "c-1", "encoding": "pcm_s16le", "rate": 16_000, "answer": {"speak": speak}}
    error = speaker.call("voice_start", asked)["error"]
    assert (error["code"], error["field"]) == (code, field)


def test_nobody_hushes_anothers_answer(stand: Stand, speaker: Speaker) -> None:
    stand.provider.script = words(*ANSWER)
    turn, _ = ask(speaker)
    stranger = Speaker(speaker.address).connect()
    assert stranger.call("voice_hush", {"turn": turn})["error"]["code"] == "not_found"
    stranger.client.disconnect()
    assert over(speaker, turn)["reason"] == "done"


def test_a_client_that_polls_hears_the_same(stand: Stand, speaker: Speaker) -> None:
    stand.provider.script = words(*ANSWER)
    poller = Speaker(speaker.address, token=speaker.token).connect(transport="polling")
    turn, _ = ask(poller)
    assert over(poller, turn)["reason"] == "done"
    assert sound(poller, turn, 1) == sound_of(SENTENCES[1], 24_000)
    poller.client.disconnect()


def test_other_devices_learn_of_an_utterance_and_seconds_are_metered(stand: Stand, speaker: Speaker) -> None:
    listener = Speaker(speaker.address, token=speaker.token).connect()
    turn = speaker.start("c-9")["turn"]
    listener.wait_for(lambda: listener.of("voice_started"))
    assert listener.of("voice_started") == [{"turn": turn, "client_id": "c-9"}]
    speaker.say(turn, b"\1\0" * 16_000)
    assert speaker.end_of(turn)["usage"]["audio_ms"] == 1_000
    with stand.services.uow.read() as session:
        row = session.get(Turn, turn)
        assert row is not None
        assert row.audio_ms == 1_000
    listener.client.disconnect()


def test_a_connection_that_takes_no_sound_misses_it_and_nothing_is_kept(
    stand: Stand, speaker: Speaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It misses the rest of the sentence, hears the next one from its beginning, and the others miss nothing."""
    listener = Speaker(speaker.address, token=speaker.token).connect()
    stand.provider.script = words(*ANSWER)
    hear, slow = _Hearer.hear, list[str]()

    def refusing(self: _Hearer, turn: str, sentence: int, *sound: Any) -> bool:
        slow.append(self._sid)
        return not (sentence == 1 and self._sid == slow[0]) and hear(self, turn, sentence, *sound)

    monkeypatch.setattr(_Hearer, "hear", refusing)
    told = speaker.start("c-1", answer={"speak": True})
    assert listener.call("turn_attach", {"turn": told["turn"]})["ok"]
    speaker.say(told["turn"], b"\1\0" * FRAME)
    speaker.wait_for(lambda: speaker.of("voice_answer"))
    turn = speaker.of("voice_answer")[0]["answer"]
    over(speaker, turn)
    over(listener, turn)
    heard = [[sound(device, turn, number) for number in range(3)] for device in (speaker, listener)]
    whole = [sound_of(text, 24_000) for text in SENTENCES]
    assert sorted(heard, key=lambda sounds: len(sounds[1])) == [[whole[0], b"", whole[2]], whole]
    assert [len(device.of("voice_speech_end", turn)) for device in (speaker, listener)] == [3, 3]
    listener.client.disconnect()
