"""DashScope's synthesis against its simulator, and the simulator against the vendor's own package."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import gevent
import pytest

from services.errors import VendorError, VendorOverloaded, VendorRefused, VendorTimeout
from services.synthesis.cosyvoice import CosyVoice, CosyVoiceSettings, Limits
from simulators.cosyvoice import KEY, CosyVoiceFault, CosyVoiceSimulator, tone
from simulators.paraformer import ParaformerFault
from tests.processes import ROOT

VOICE, RATE = "longxiaochun_v2", 24_000

JUDGE = """
import sys, dashscope
from dashscope.audio.tts_v2 import AudioFormat, ResultCallback, SpeechSynthesizer
dashscope.api_key, dashscope.base_websocket_api_url = sys.argv[1:3]
heard = bytearray()
class Ear(ResultCallback):
    def on_data(self, data): heard.extend(data)
speaker = SpeechSynthesizer(model="cosyvoice-v2", voice="longxiaochun_v2",
                            format=AudioFormat.PCM_24000HZ_MONO_16BIT, callback=Ear())
for text in ("One.", "Two."):
    speaker.streaming_call(text)
speaker.streaming_complete()
sys.stdout.write(heard.hex())
"""


@pytest.fixture
def vendor() -> Iterator[CosyVoiceSimulator]:
    with CosyVoiceSimulator() as simulator:
        yield simulator


def voice_of(vendor: CosyVoiceSimulator, **settings: Any) -> CosyVoice:
    given: dict[str, Any] = {"api_key": KEY, "url": vendor.ws_url, **settings}
    return CosyVoice(CosyVoiceSettings(**given), limits=Limits(0.5, 0.5, 0.5))


def test_sentences_are_said_one_after_another_on_one_connection(vendor: CosyVoiceSimulator) -> None:
    with voice_of(vendor).open(VOICE, RATE) as mouth:
        for text in ("It is so.", "你好，世界。"):
            pieces = list(mouth.say(text))
            assert all(len(piece) % 2 == 0 for piece in pieces)
            assert b"".join(pieces) == tone(text, RATE)
    assert vendor.spoken == ["It is so.", "你好，世界。"]
    assert len(vendor.calls) == 1


def test_many_at_once_do_not_mix(vendor: CosyVoiceSimulator) -> None:
    synthesiser = voice_of(vendor)

    def say(number: int) -> bytes:
        with synthesiser.open(VOICE, 16_000) as mouth:
            return b"".join(mouth.say(f"Number {number}."))

    jobs = [gevent.spawn(say, number) for number in range(20)]
    assert [job.get(timeout=20) for job in jobs] == [tone(f"Number {n}.", 16_000) for n in range(20)]


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (CosyVoiceFault("InvalidParameter"), VendorRefused),
        (CosyVoiceFault("Throttling.RateQuota", after=1), VendorOverloaded),
        (CosyVoiceFault(cut=True, after=1), VendorOverloaded),
        (CosyVoiceFault(no_end=True), VendorTimeout),
    ],
)
def test_a_fault_ends_the_sentence_and_the_next_one_is_said(
    vendor: CosyVoiceSimulator, fault: CosyVoiceFault, kind: type[VendorError]
) -> None:
    vendor.speak_so(fault)
    with voice_of(vendor).open(VOICE, RATE) as mouth:
        with pytest.raises(kind):
            list(mouth.say("First one."))
        assert b"".join(mouth.say("Second.")) == tone("Second.", RATE)


@pytest.mark.parametrize(
    "fault", [CosyVoiceFault("InternalError"), CosyVoiceFault(cut=True), CosyVoiceFault(no_start=True)]
)
def test_before_the_first_sound_it_is_asked_again(vendor: CosyVoiceSimulator, fault: CosyVoiceFault) -> None:
    vendor.speak_so(fault)
    with voice_of(vendor).open(VOICE, RATE) as mouth:
        assert b"".join(mouth.say("Again.")) == tone("Again.", RATE)


def test_a_wrong_key_is_refused_and_a_sentence_left_is_hung_up_on(vendor: CosyVoiceSimulator) -> None:
    with voice_of(vendor, api_key="sk-wrong").open(VOICE, RATE) as mouth, pytest.raises(VendorRefused):
        list(mouth.say("Hello."))
    vendor.play(ParaformerFault())
    with voice_of(vendor).open(VOICE, RATE) as mouth:
        saying = mouth.say("A long sentence that nobody hears to its end, as somebody else begins to speak.")
        next(saying)
        saying.close()
        assert vendor.calls[-1].hung_up.wait(5)
        assert b"".join(mouth.say("Next.")) == tone("Next.", RATE)


def test_without_a_key_the_voices_are_listed_as_not_available(vendor: CosyVoiceSimulator) -> None:
    assert not any(card.available for card in voice_of(vendor, api_key="").voices())


def test_the_vendors_own_package_hears_the_same(vendor: CosyVoiceSimulator) -> None:
    judge = [sys.executable, "-c", JUDGE, KEY, vendor.ws_url]
    judged = subprocess.run(judge, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert judged.returncode == 0, judged.stderr
    assert bytes.fromhex(judged.stdout) == tone("One.", RATE) + tone("Two.", RATE)
