"""What every recogniser promises, tried on each one; those of vendors against their simulators.

A recogniser without a line in `STAGES` fails here: it comes with what it is tried on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass

import gevent
import pytest
from gevent.event import Event

import config
from services.discovery import collect
from services.events import Stop, TranscriptFinal, TranscriptPartial
from services.speech.base import Audio, Recogniser, SpeechCard, SpeechRequest, SpeechSpec
from services.speech.pcm import ms_of
from simulators.iat import APP_ID, KEY, SECRET, IatSimulator
from simulators.paraformer import ParaformerSimulator
from simulators.speech import words_in
from tests.services.speech.sounds import Sound, noise, silence

SPECS = {spec.name: spec for spec in collect("services.speech", SpeechSpec)}
LIMIT_S = 60
HEARD = 2.0
"""Seconds: a pace that a vendor's adapter may keep does not hold these up."""


def _iflytek(stack: ExitStack) -> dict[str, str]:
    vendor = stack.enter_context(IatSimulator())
    return {
        "IFLYTEK_APP_ID": APP_ID,
        "IFLYTEK_API_KEY": KEY,
        "IFLYTEK_API_SECRET": SECRET,
        "IFLYTEK_IAT_URL": vendor.ws_url,
    }


def _paraformer(stack: ExitStack) -> dict[str, str]:
    vendor = stack.enter_context(ParaformerSimulator())
    return {"DASHSCOPE_API_KEY": KEY, "DASHSCOPE_WEBSOCKET_URL": vendor.ws_url}


STAGES: dict[str, Callable[[ExitStack], dict[str, str]]] = {
    "iflytek": _iflytek,
    "paraformer": _paraformer,
    "pocketsphinx": lambda _: {},
    "discard": lambda _: {"BENCHMARK_MODELS": "1"},
}
EXACT = ("iflytek", "paraformer")


@dataclass
class Stand:
    """A recogniser that can be used."""

    name: str
    recogniser: Recogniser
    card: SpeechCard

    def hear(self, audio: Audio) -> list[object]:
        with gevent.Timeout(LIMIT_S):
            return list(self.recogniser.listen(audio, SpeechRequest(self.card.vendor_model)))


@pytest.fixture(params=sorted(SPECS))
def stand(request: pytest.FixtureRequest) -> Iterator[Stand]:
    spec = SPECS[request.param]
    with ExitStack() as stack:
        env = STAGES[spec.name](stack)
        recogniser = spec.build(config.read(spec.settings, env, prefix=spec.prefix))
        stack.callback(recogniser.close)
        card = next(card for card in recogniser.models() if card.available)
        yield Stand(spec.name, recogniser, card)


def test_the_last_word_is_one_stop(stand: Stand) -> None:
    """For sound, for silence, for nothing at all, and for less than a frame."""
    rate = stand.card.rates[0]
    for pcm in (noise(HEARD, rate), silence(1, rate), b"", b"\1\0" * 5):
        heard = stand.hear(Sound(pcm, rate=rate))
        assert [event for event in heard if isinstance(event, Stop)] == heard[-1:] == [Stop("stop")]


def test_finals_have_their_places_one_after_the_other(stand: Stand) -> None:
    """Within the sound; no partial is left open at the end."""
    rate = stand.card.rates[0]
    pcm = noise(HEARD, rate)
    *heard, _ = stand.hear(Sound(pcm, rate=rate))
    finals = [event for event in heard if isinstance(event, TranscriptFinal)]
    places = [place for final in finals for place in (final.start_ms, final.end_ms)]
    assert places == sorted(places)
    assert all(0 <= place <= ms_of(len(pcm), rate) for place in places)
    if heard:
        assert isinstance(heard[-1], TranscriptFinal)
    if stand.name in EXACT:
        assert "".join(final.text for final in finals) == words_in(pcm, rate)
        assert any(isinstance(event, TranscriptPartial) for event in heard)


def test_a_pause_of_the_speaker_loses_nothing(stand: Stand) -> None:
    """Whatever the recogniser does meanwhile, all of the sound is read."""
    rate = stand.card.rates[0]
    sound = Sound(noise(HEARD, rate), rate=rate, pauses=(rate, 2 * rate))
    assert stand.hear(sound)[-1] == Stop("stop")
    assert sound.at == int(HEARD * rate) * 2


def test_leaving_in_the_middle_lets_go(stand: Stand) -> None:
    """Nobody reads the sound any more, and the recogniser serves the next speaker."""
    rate = stand.card.rates[0]

    class Endless(Sound):
        """Comes for ever, without a hurry."""

        def read(self, size: int, timeout_s: float | None = None) -> bytes:
            read.set()
            gevent.sleep(0.01)
            return noise(size / 2 / rate, rate, seed=self.at)

    read = Event()
    reader = gevent.spawn(stand.hear, Endless(b"", rate=rate))
    assert read.wait(LIMIT_S)
    reader.kill()
    read.clear()
    assert not read.wait(0.1)
    assert stand.hear(Sound(b"", rate=rate)) == [Stop("stop")]


@pytest.mark.parametrize("name", sorted(EXACT))
def test_many_speakers_hear_only_themselves(name: str) -> None:
    """Thirty at once."""
    spec = SPECS[name]
    with ExitStack() as stack:
        recogniser = spec.build(config.read(spec.settings, STAGES[name](stack), prefix=spec.prefix))
        card = recogniser.models()[0]

        def speak(number: int) -> str:
            sound = Sound(noise(HEARD, 16_000, seed=number), rate=16_000)
            heard = recogniser.listen(sound, SpeechRequest(card.vendor_model))
            return "".join(event.text for event in heard if isinstance(event, TranscriptFinal))

        jobs = [gevent.spawn(speak, number) for number in range(30)]
        said = [words_in(noise(HEARD, 16_000, seed=number), 16_000) for number in range(30)]
        assert [job.get(timeout=LIMIT_S) for job in jobs] == said


@pytest.mark.parametrize("name", sorted(SPECS))
def test_what_can_be_listed_can_be_shown(name: str) -> None:
    """Without any setting; a recogniser without its key is not available."""
    spec = SPECS[name]
    recogniser = spec.build(config.read(spec.settings, {}, prefix=spec.prefix))
    for card in recogniser.models():
        assert card.provider == name
        assert card.available == (name not in EXACT)
        assert set(card.to_wire()) == {"id", "name", "provider", "available", "languages", "note"}
