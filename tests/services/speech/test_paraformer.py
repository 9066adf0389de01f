"""DashScope's realtime recognition against its simulator: sentences, pauses, every fault."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import gevent
import pytest

from services.errors import VendorError, VendorOverloaded, VendorRefused, VendorTimeout
from services.events import Stop, TranscriptFinal, TranscriptPartial
from services.speech.base import SpeechRequest
from services.speech.paraformer import Paraformer, ParaformerSettings
from services.speech.paraformer_task import Limits
from simulators.paraformer import KEY, ParaformerFault, ParaformerSimulator
from simulators.speech import words_in
from tests.services.speech.sounds import Sound, noise, silence

RATE = 16_000
LIMIT_S = 20


class Quick(Limits):
    started_s = 0.3
    finish_s = 0.3


@pytest.fixture
def vendor() -> Iterator[ParaformerSimulator]:
    with ParaformerSimulator() as simulator:
        yield simulator


def engine_of(vendor: ParaformerSimulator, **settings: Any) -> Paraformer:
    given: dict[str, Any] = {"api_key": KEY, "url": vendor.ws_url, **settings}
    return Paraformer(ParaformerSettings(**given), limits=Quick())


def hear(
    engine: Paraformer, sound: Sound, model: str = "paraformer-realtime-v2", language: str | None = None
) -> tuple[list[object], VendorError | None]:
    heard: list[object] = []
    with gevent.Timeout(LIMIT_S):
        try:
            heard.extend(engine.listen(sound, SpeechRequest(model, language)))
        except VendorError as error:
            return heard, error
    return heard, None


def text_of(heard: list[object]) -> str:
    return "".join(event.text for event in heard if isinstance(event, TranscriptFinal))


@pytest.mark.parametrize("fault", [None, ParaformerFault(heartbeats=True)])
def test_sentences_grow_and_are_closed(vendor: ParaformerSimulator, fault: ParaformerFault | None) -> None:
    """Partials replace within a sentence, finals follow one another; heartbeats are nothing."""
    vendor.play(fault)
    pcm = noise(5.2, RATE)
    heard, error = hear(engine_of(vendor), Sound(pcm, rate=RATE), language="zh")
    assert error is None
    assert text_of(heard) == words_in(pcm, RATE)
    assert bytes(vendor.tasks[0].pcm) == pcm
    finals = [event for event in heard if isinstance(event, TranscriptFinal)]
    assert [(final.start_ms, final.end_ms) for final in finals] == [(0, 2_000), (2_000, 4_000), (4_000, 5_200)]
    partials = [event.text for event in heard if isinstance(event, TranscriptPartial)]
    assert partials[0] == finals[0].text[:2]
    assert isinstance(heard[-1], Stop)
    assert vendor.requests[0]["parameters"]["language_hints"] == ["zh"]


def test_a_pause_of_the_speaker_is_filled_and_not_counted(vendor: ParaformerSimulator) -> None:
    """The vendor is sent silence lest it hang up; times are those of the speaker's sound."""
    engine = engine_of(vendor)
    pcm = noise(4, RATE)
    heard, error = hear(engine, Sound(pcm, rate=RATE, pauses=(64_000, 64_000)))
    assert error is None
    assert bytes(vendor.tasks[0].pcm) == pcm[:64_000] + bytes(6_400) + pcm[64_000:]
    finals = [event for event in heard if isinstance(event, TranscriptFinal)]
    assert finals[0].end_ms == 2_000
    assert finals[-1].end_ms == 4_000


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (ParaformerFault(code="CLIENT_ERROR", message="request timeout after 23 seconds."), VendorTimeout),
        (ParaformerFault(code="CLIENT_ERROR"), VendorRefused),
        (ParaformerFault(code="ModelNotFound"), VendorRefused),
        (ParaformerFault(code="InvalidApiKey"), VendorRefused),
        (ParaformerFault(code="Arrearage"), VendorRefused),
        (ParaformerFault(code="Throttling.RateQuota"), VendorOverloaded),
        (ParaformerFault(code="InternalError.Algo"), VendorOverloaded),
        (ParaformerFault(code="NeverHeardOf"), VendorOverloaded),
        (ParaformerFault(cut_at_ms=1_000), VendorOverloaded),
        (ParaformerFault(no_end=True), VendorTimeout),
    ],
)
def test_a_fault_in_mid_utterance_keeps_the_words(
    vendor: ParaformerSimulator, fault: ParaformerFault, kind: type[VendorError]
) -> None:
    """What had been heard of the sentence becomes a final, then the error comes; the vendor's words do not."""
    if fault.code:
        fault = ParaformerFault(code=fault.code, message=fault.message, at_ms=1_000)
    vendor.play(fault)
    pcm = noise(1.0, RATE)
    heard, error = hear(engine_of(vendor), Sound(pcm, rate=RATE))
    assert type(error) is kind
    assert "scripted" not in error.message
    assert text_of(heard) == words_in(pcm, RATE)


def test_no_sound_goes_out_before_the_task_has_started(vendor: ParaformerSimulator) -> None:
    vendor.play(ParaformerFault(no_start=True))
    heard, error = hear(engine_of(vendor), Sound(noise(1, RATE), rate=RATE))
    assert isinstance(error, VendorTimeout)
    assert vendor.tasks[0].pcm == b""


def test_an_opening_is_tried_twice_where_that_makes_sense(vendor: ParaformerSimulator) -> None:
    pcm = noise(1, RATE)
    vendor.play(ParaformerFault(status=503))
    heard, error = hear(engine_of(vendor), Sound(pcm, rate=RATE))
    assert (text_of(heard), error) == (words_in(pcm, RATE), None)
    calls = len(vendor.calls)
    heard, error = hear(engine_of(vendor, api_key="other"), Sound(pcm, rate=RATE))
    assert isinstance(error, VendorRefused)
    assert error.advice is not None
    assert "DASHSCOPE_API_KEY" in error.advice[0]
    assert len(vendor.calls) == calls + 1


def test_a_task_without_sound_or_with_silence_has_no_words(vendor: ParaformerSimulator) -> None:
    for pcm in (b"", silence(1, RATE)):
        assert hear(engine_of(vendor), Sound(pcm, rate=RATE)) == ([Stop("stop")], None)


def test_models_are_chosen_by_rate_and_key() -> None:
    """The owner's choice comes first; without a key none is available."""
    cards = Paraformer(ParaformerSettings(models=("fun-asr-realtime", "new-asr"))).models()
    assert [card.id for card in cards[:2]] == ["fun-asr-realtime", "new-asr"]
    assert cards[0].rates == (16_000,)
    assert not any(card.available for card in cards)
