"""An answer read aloud: a listener that cannot keep up costs neither the others nor the server anything."""

from __future__ import annotations

from gevent.event import Event

from services.clock import SystemClock
from services.errors import ChatError
from services.events import TextDelta, TurnEnded, Usage
from services.relay.memory_log import MemoryLog
from services.turns.speech import Speech, SpokenSentence
from tests.tongues import Tongue, sound_of

RATE = 24_000
FIRST = "The first sentence is so long that its sound comes in several pieces."
SECOND = "The second one is short."


class Listener:
    """Takes sound, but for the pieces whose numbers are in `full`."""

    def __init__(self, full: tuple[int, ...] = ()) -> None:
        self.full = full
        self.offered: list[tuple[int, int]] = []
        self.heard: dict[int, bytes] = {}
        self.sentences: list[SpokenSentence] = []
        self.ended: list[tuple[str, int]] = []

    def hear(self, turn: str, sentence: int, at: int, rate: int, pcm: bytes) -> bool:
        self.offered.append((sentence, at))
        if len(self.offered) - 1 in self.full:
            return False
        assert at == len(self.heard.get(sentence, b""))
        self.heard[sentence] = self.heard.get(sentence, b"") + pcm
        return True

    def sentence_over(self, turn: str, spoken: SpokenSentence) -> None:
        self.sentences.append(spoken)

    def over(self, turn: str, reason: str, ms: int, error: ChatError | None) -> None:
        self.ended.append((reason, ms))


def test_a_slow_listener_misses_the_rest_of_a_sentence_and_nothing_is_kept_for_it() -> None:
    """The next sentence reaches it whole; the quick one hears every byte."""
    log, over, tongue = MemoryLog("t_1"), Event(), Tongue()
    quick, slow = Listener(), Listener(full=(1,))
    speech = Speech(
        log,
        user_id="u_1",
        message="m_1",
        synthesiser=tongue,
        voice="tongue",
        rate=RATE,
        clock=SystemClock(),
        on_over=lambda _: over.set(),
    )
    speech.listeners.update(quick=quick, slow=slow)
    speech.start()
    text = f"{FIRST} {SECOND}"
    log.append(TextDelta(text))
    log.append(TurnEnded("done", "stop", Usage(), 0, len(text), "", "m_1"))
    assert over.wait(20)
    assert quick.heard == {0: sound_of(FIRST, RATE), 1: sound_of(SECOND, RATE)}
    assert quick.offered.count((0, 0)) == 1
    assert slow.heard[1] == sound_of(SECOND, RATE)
    assert 0 < len(slow.heard[0]) < len(quick.heard[0])
    assert [offer for offer in slow.offered if offer[0] == 0] == [offer for offer in quick.offered if offer[0] == 0][:2]
    assert [spoken.text for spoken in slow.sentences] == [FIRST, SECOND]
    assert quick.ended == slow.ended == [("done", round(speech.ms))]
