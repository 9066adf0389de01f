"""The local voice, with the real program."""

from __future__ import annotations

import gevent
import pytest

from services.speech.pcm import peak
from services.synthesis.espeak import Espeak, EspeakSettings


@pytest.mark.parametrize("text", ["It speaks.", "你好，世界。"])
def test_it_speaks_and_others_run_meanwhile(text: str) -> None:
    ticks: list[int] = []

    def tick() -> None:
        while True:
            ticks.append(1)
            gevent.sleep(0.001)

    ticker = gevent.spawn(tick)
    with Espeak(EspeakSettings()).open("espeak-ng", 24_000) as mouth:
        sound = b"".join(mouth.say(text))
    ticker.kill()
    assert mouth.rate == 22_050
    assert len(sound) % 2 == 0
    assert 0.3 < len(sound) / 2 / mouth.rate < 5
    assert peak(sound) > 3_000
    assert len(ticks) > 1


def test_many_are_said_whole_one_after_another() -> None:
    voice = Espeak(EspeakSettings(processes=1))

    def say(number: int) -> bytes:
        with voice.open("espeak-ng", 16_000) as mouth:
            return b"".join(mouth.say(f"Number {number}."))

    jobs = [gevent.spawn(say, number % 3) for number in range(9)]
    sounds = [job.get(timeout=20) for job in jobs]
    assert sounds[:3] == sounds[3:6] == sounds[6:]
    assert len(set(sounds)) == 3


def test_it_can_be_taken_off_the_list() -> None:
    assert Espeak(EspeakSettings(processes=0)).voices() == ()
