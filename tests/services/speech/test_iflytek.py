"""iFlytek's dictation against its simulator: corrections, sessions joined without loss, every fault."""

from __future__ import annotations

import time
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import gevent
import pytest

from services.clock import SystemClock
from services.errors import VendorError, VendorOverloaded, VendorRefused, VendorTimeout
from services.events import Stop, TranscriptFinal, TranscriptPartial
from services.speech.base import SpeechRequest
from services.speech.iflytek import Iflytek, IflytekSettings
from services.speech.iflytek_codes import CODES, OVER
from services.speech.iflytek_session import Limits
from services.speech.iflytek_table import Table
from services.speech.pcm import ms_of
from simulators.iat import APP_ID, KEY, SECRET, IatFault, IatSimulator
from simulators.speech import words_in
from tests.services.speech import sounds
from tests.services.speech.sounds import Sound

RATE = 8_000
LIMIT_S = 20


class Quick(Limits):
    """The adapter's limits, without the pace of speech."""

    speed = 1e9
    first_s = 0.3
    finish_s = 0.3


class Paced(Quick):
    """Twenty times the pace of speech: the vendor's word comes while sound is still sent."""

    speed = 20.0
    burst_s = 0.2


class Slow(Quick):
    """Three times the pace of speech: longer than a first result is waited for."""

    speed = 3.0
    burst_s = 0.0


@pytest.fixture
def vendor() -> Iterator[IatSimulator]:
    with IatSimulator() as simulator:
        yield simulator


def engine_of(vendor: IatSimulator, *, limits: Limits | None = None, **settings: Any) -> Iflytek:
    keys: dict[str, Any] = {"app_id": APP_ID, "api_key": KEY, "api_secret": SECRET, "iat_url": vendor.ws_url}
    return Iflytek(IflytekSettings(**{**keys, **settings}), limits=limits or Quick())


def noise(seconds: float, seed: int = 1) -> bytes:
    return sounds.noise(seconds, RATE, seed)


def silence(seconds: float) -> bytes:
    return sounds.silence(seconds, RATE)


def hear(engine: Iflytek, sound: Sound, language: str | None = None) -> tuple[list[object], VendorError | None]:
    """Everything that was yielded, and the error it ended with."""
    heard: list[object] = []
    with gevent.Timeout(LIMIT_S):
        try:
            heard.extend(engine.listen(sound, SpeechRequest("iat", language)))
        except VendorError as error:
            return heard, error
    return heard, None


def text_of(heard: list[object]) -> str:
    return "".join(event.text for event in heard if isinstance(event, TranscriptFinal))


@pytest.mark.parametrize(("language", "corrects"), [("zh", True), ("zh", False), ("en", True)])
def test_corrections_replace_and_the_last_text_counts(vendor: IatSimulator, language: str, corrects: bool) -> None:
    """With dynamic correction or without; every byte reached the vendor, in order."""
    pcm = noise(3.3)
    heard, error = hear(engine_of(vendor, corrects=corrects), Sound(pcm, rate=RATE), language)
    assert error is None
    assert isinstance(heard[-1], Stop)
    assert text_of(heard) == words_in(pcm, RATE)
    assert bytes(vendor.sessions[0].pcm) == pcm
    (final,) = [event for event in heard if isinstance(event, TranscriptFinal)]
    assert (final.start_ms, final.end_ms) == (0, 3_300)
    partials = [event.text for event in heard if isinstance(event, TranscriptPartial)]
    assert len(partials) > 6
    assert final.text.startswith(partials[0])


def test_the_documents_example_of_a_correction() -> None:
    """apd, rpl over one, apd, rpl over two: the text is the pieces in the order of their numbers."""
    table, seen = Table(), []
    for number, pgs, text in ((1, None, "今"), (2, [1, 1], "今天"), (3, None, "天气"), (4, [2, 3], "今天天气")):
        change = {"pgs": "rpl", "rg": pgs} if pgs else {"pgs": "apd"}
        table.take({"sn": number, **change, "ws": [{"bg": 30, "cw": [{"w": text}]}]})
        seen.append(table.text)
    assert seen == ["今", "今天", "今天天气", "今天天气"]
    assert table.first_ms == 300


def test_speech_without_end_is_heard_in_sessions_cut_at_pauses(vendor: IatSimulator) -> None:
    """Two and a half minutes: no session is longer than the vendor allows, no byte is missing or heard twice."""
    pcm = b"".join(noise(9.5, seed) + silence(0.5) for seed in range(15))
    heard, error = hear(engine_of(vendor), Sound(pcm, rate=RATE))
    assert error is None
    sent = b"".join(bytes(session.pcm) for session in vendor.sessions)
    assert pcm.startswith(sent)
    assert pcm[len(sent) :] == bytes(len(pcm) - len(sent)), "silence at the very end is worth no session"
    assert len(vendor.sessions) == 3
    assert all(session.ms < 60_000 for session in vendor.sessions)
    cut = [bytes(session.pcm) for session in vendor.sessions]
    assert all(piece.endswith(silence(0.1)) for piece in cut[:-1])
    assert text_of(heard) == "".join(words_in(piece, RATE) for piece in cut)
    finals = [event for event in heard if isinstance(event, TranscriptFinal)]
    assert all(before.end_ms <= after.start_ms for before, after in pairwise(finals))
    assert finals[-1].end_ms == ms_of(len(sent), RATE)


def test_a_sentence_that_the_vendor_ends_loses_nothing_of_the_next(vendor: IatSimulator) -> None:
    """After its silence the vendor listens no more: what came meanwhile is heard by the next session, once."""
    first, second = noise(2, 1), noise(2.5, 2)
    pcm = first + silence(8) + second
    heard, error = hear(engine_of(vendor, limits=Paced()), Sound(pcm, rate=RATE))
    assert error is None
    assert len(vendor.sessions) == 2
    texts = [event.text for event in heard if isinstance(event, TranscriptFinal)]
    assert texts[0] == words_in(first, RATE)
    assert second in bytes(vendor.sessions[1].pcm)
    assert first not in bytes(vendor.sessions[1].pcm)


def test_a_speaker_who_pauses_ends_the_session_and_begins_another(vendor: IatSimulator) -> None:
    """The vendor would hang up after ten seconds without data."""
    pcm = noise(4)
    heard, error = hear(engine_of(vendor), Sound(pcm, rate=RATE, pauses=(32_000,)))
    assert error is None
    assert [len(session.pcm) for session in vendor.sessions] == [32_000, 32_000]
    assert text_of(heard) == words_in(pcm[:32_000], RATE) + words_in(pcm[32_000:], RATE)


@pytest.mark.parametrize("code", sorted(OVER))
def test_a_session_that_ends_by_itself_keeps_its_words(vendor: IatSimulator, code: int) -> None:
    """And another one hears the rest."""
    vendor.play(IatFault(code=code, at_ms=2_000))
    pcm = noise(6)
    heard, error = hear(engine_of(vendor), Sound(pcm, rate=RATE))
    assert error is None
    assert len(vendor.sessions) == 2
    assert text_of(heard).startswith(words_in(pcm[:32_000], RATE))
    assert pcm[32_000:] in bytes(vendor.sessions[1].pcm)


@pytest.mark.parametrize("code", [*sorted(CODES), 19_999])
def test_every_number_becomes_one_of_our_errors(vendor: IatSimulator, code: int) -> None:
    """What had been heard is kept; the owner is told what to do in two languages."""
    vendor.play(IatFault(code=code, at_ms=1_000))
    pcm = noise(3)
    heard, error = hear(engine_of(vendor), Sound(pcm, rate=RATE))
    assert isinstance(error, VendorRefused | VendorOverloaded)
    assert isinstance(error, CODES[code].kind) if code in CODES else error.retryable
    assert error.advice is not None
    assert text_of(heard) == words_in(pcm[:16_000], RATE)


def test_a_connection_that_breaks_keeps_its_words(vendor: IatSimulator) -> None:
    vendor.play(IatFault(cut_at_ms=1_000))
    heard, error = hear(engine_of(vendor), Sound(noise(3), rate=RATE))
    assert isinstance(error, VendorOverloaded)
    assert text_of(heard) != ""


def test_an_engine_that_stalls_is_left(vendor: IatSimulator) -> None:
    """Before its first word it is a timeout; without its last word what is there counts."""
    vendor.play(IatFault(stall_at_ms=0))
    heard, error = hear(engine_of(vendor, limits=Slow()), Sound(noise(3), rate=RATE))
    assert isinstance(error, VendorTimeout)
    vendor.play(IatFault(no_last=True))
    pcm = noise(2)
    heard, error = hear(engine_of(vendor), Sound(pcm, rate=RATE))
    assert error is None
    assert text_of(heard) == words_in(pcm, RATE)


def test_a_refused_opening_is_tried_once_more_where_that_makes_sense(vendor: IatSimulator) -> None:
    """No sound has been lost until then."""
    pcm = noise(1)
    vendor.play(IatFault(status=503))
    heard, error = hear(engine_of(vendor), Sound(pcm, rate=RATE))
    assert error is None
    assert text_of(heard) == words_in(pcm, RATE)
    for wrong in (engine_of(vendor, api_key="other"), engine_of(vendor, api_secret="other")):
        before = len(vendor.calls)
        heard, error = hear(wrong, Sound(pcm, rate=RATE))
        assert isinstance(error, VendorRefused)
        assert "IFLYTEK_API_SECRET" in (error.advice or ("", ""))[0]
        assert len(vendor.calls) == before + 1
    heard, error = hear(engine_of(vendor, app_id="other"), Sound(pcm, rate=RATE))
    assert isinstance(error, VendorRefused)
    vendor.now = lambda: time.time() + 1_000
    heard, error = hear(engine_of(vendor), Sound(pcm, rate=RATE))
    assert isinstance(error, VendorRefused)
    assert "clock" in (error.advice or ("", ""))[0]


def test_silence_is_no_transcript(vendor: IatSimulator) -> None:
    heard, error = hear(engine_of(vendor), Sound(silence(2), rate=RATE))
    assert (heard, error) == ([Stop("stop")], None)


def test_sound_goes_out_at_the_pace_of_speech(vendor: IatSimulator) -> None:
    """A recording that is all there is held back: sent at once, it would be heard worse."""
    pcm = noise(4)
    began = SystemClock().monotonic()
    hear(engine_of(vendor, limits=Paced()), Sound(pcm, rate=RATE))
    assert SystemClock().monotonic() - began >= (4 - 0.2) / 20


def test_leaving_hangs_up(vendor: IatSimulator) -> None:
    """The vendor sees the end of the connection."""
    heard = engine_of(vendor).listen(Sound(noise(3), rate=RATE, pauses=(16_000,)), SpeechRequest("iat"))
    next(heard)
    heard.close()
    assert vendor.calls[0].ended.wait(5)


def test_without_keys_it_is_listed_and_not_available() -> None:
    (card,) = Iflytek(IflytekSettings()).models()
    assert (card.id, card.available) == ("iflytek-iat", False)
