"""The recogniser on this machine: real words out of real sound, in a process that comes and goes."""

from __future__ import annotations

import os
import signal
import subprocess
import wave
from collections.abc import Iterator
from pathlib import Path

import gevent
import pytest

from services.errors import Internal, ServerBusy
from services.events import Stop, TranscriptFinal, TranscriptPartial
from services.speech.base import Heard, SpeechRequest
from services.speech.pocketsphinx_local import PocketSphinx, PocketSphinxSettings
from tests.services.speech.sounds import Sound

LIMIT_S = 60


@pytest.fixture
def engine() -> Iterator[PocketSphinx]:
    engine = PocketSphinx(PocketSphinxSettings(processes=1, idle_s=60))
    yield engine
    engine.close()


@pytest.fixture(scope="module")
def spoken(tmp_path_factory: pytest.TempPathFactory) -> dict[int, bytes]:
    """The same words at 16 and 8 kHz, silence around them; a voice without noise, so that every run hears the same."""
    folder: Path = tmp_path_factory.mktemp("spoken")
    said = folder / "said.wav"
    sentence = "the number of people in the united states"
    subprocess.run(["espeak-ng", "-v", "en-us+f5", "-s", "130", "-w", said, sentence], check=True)
    found = {}
    for rate in (16_000, 8_000):
        form = ["-r", str(rate), "-b", "16", "-c", "1"]
        subprocess.run(["sox", "-D", "-R", "-v", "0.9", said, *form, folder / "out.wav", "pad", "0.6", "1"], check=True)
        with wave.open(str(folder / "out.wav")) as file:
            found[rate] = file.readframes(file.getnframes())
    return found


def listen(engine: PocketSphinx, sound: Sound) -> Heard:
    return engine.listen(sound, SpeechRequest("en-us"))


@pytest.mark.parametrize("rate", [16_000, 8_000])
def test_words_are_heard_while_they_are_spoken(engine: PocketSphinx, spoken: dict[int, bytes], rate: int) -> None:
    """Partials first, then a final with its place in the sound, then one `Stop`; rough, as its note says."""
    with gevent.Timeout(LIMIT_S):
        heard = list(listen(engine, Sound(spoken[rate], rate=rate)))
    assert isinstance(heard[-1], Stop)
    assert isinstance(heard[0], TranscriptPartial)
    finals = [event for event in heard if isinstance(event, TranscriptFinal)]
    assert "people" in " ".join(final.text for final in finals)
    length_ms = len(spoken[rate]) * 1000 // (rate * 2)
    assert 0 < finals[0].start_ms < finals[-1].end_ms <= length_ms
    assert "rough" in engine.models()[0].note


def test_silence_and_no_sound_at_all_are_no_words(engine: PocketSphinx) -> None:
    """And the process is used again."""
    assert list(listen(engine, Sound(bytes(32_000)))) == [Stop("stop")]
    pids = engine.pids()
    assert list(listen(engine, Sound(b""))) == [Stop("stop")]
    assert list(listen(engine, Sound(b"\1\0" * 7))) == [Stop("stop")]
    assert engine.pids() == pids


def test_more_speakers_than_processes_are_told_to_wait(engine: PocketSphinx, spoken: dict[int, bytes]) -> None:
    """Leaving an utterance frees its place."""
    first = listen(engine, Sound(spoken[16_000]))
    assert isinstance(next(first), TranscriptPartial)
    with pytest.raises(ServerBusy):
        next(listen(engine, Sound(b"")))
    (left,) = engine.pids()
    first.close()
    assert list(listen(engine, Sound(b""))) == [Stop("stop")]
    assert engine.pids() != [left]


def test_a_process_that_dies_is_an_error_and_not_the_end(engine: PocketSphinx, spoken: dict[int, bytes]) -> None:
    """The next utterance gets another one."""
    first = listen(engine, Sound(spoken[16_000]))
    next(first)
    os.kill(engine.pids()[0], signal.SIGKILL)
    with pytest.raises(Internal):
        list(first)
    assert list(listen(engine, Sound(b""))) == [Stop("stop")]


def test_processes_end_when_nobody_speaks() -> None:
    """None before the first utterance, none a while after the last."""
    engine = PocketSphinx(PocketSphinxSettings(processes=1, idle_s=0))
    assert engine.pids() == []
    list(listen(engine, Sound(b"")))
    (pid,) = engine.pids()
    assert engine.resident_bytes > 0
    with gevent.Timeout(LIMIT_S):
        while engine.pids():
            gevent.sleep(0.05)
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    engine.close()
