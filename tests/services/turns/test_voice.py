"""Voice turns as turns: once by name, ended by limits, kept by the database, settled without tokens."""

from __future__ import annotations

from dataclasses import dataclass

import gevent
import pytest
from gevent.event import Event

from services.errors import Conflict, InvalidRequest, NotFound, RateLimited, ServerBusy
from services.events import AnswerStarted, TranscriptFinal
from services.relay.log import Position
from services.relay.memory_log import MemoryLogs
from services.turns.following import Following
from services.turns.request import TextRequest
from services.turns.voice import FINISH_S
from services.turns.voice_request import AnswerRequest, VoiceRequest
from services.turns.voice_session import Verdict
from tests.clocks import FakeClock
from tests.servers import Stand, site_env, stand  # noqa: F401
from tests.services.speech.sounds import noise
from tests.speakers import words_of

LIMIT_S = 20
RATE = 16_000


@dataclass
class Room:
    """A user who speaks, and the services that hear it."""

    stand: Stand

    def __post_init__(self) -> None:
        self.services = self.stand.services
        self.turns = self.services.voice_turns
        self.user = self.services.accounts.create_guest().identity

    def start(self, client_id: str = "c-1", **fields: object) -> tuple[Following, int]:
        return self.turns.start(self.user, VoiceRequest(client_id, RATE, **fields))  # type: ignore[arg-type]

    def say(self, following: Following, pcm: bytes) -> None:
        session = self.turns.session(self.user, following.log.turn_id)
        assert session is not None
        while session.next < len(pcm):
            if session.feed(session.next, pcm[session.next : session.next + 32_000]) is Verdict.OVERRUN:
                session.wait_for_room(LIMIT_S)
        assert self.turns.finish(self.user, following.log.turn_id, len(pcm)) == len(pcm)

    def ending(self, following: Following) -> dict[str, object]:
        with gevent.Timeout(LIMIT_S):
            while following.log.ended is None:
                gevent.sleep(0.01)
        return following.log.ended.to_wire()


@pytest.fixture
def room(stand: Stand) -> Room:  # noqa: F811
    return Room(stand)


def test_a_transcript_is_kept_by_the_database(room: Room) -> None:
    """It can be read after its log has gone; speech costs no tokens and is counted in seconds."""
    pcm = noise(1.3, RATE)
    following, _ = room.start(is_live=False)
    room.say(following, pcm)
    ending = room.ending(following)
    assert (ending["status"], ending["charged"], ending["audio_ms"]) == ("done", 0, 1_300)
    assert ending["usage"] == {
        "prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0, "estimated": False, "audio_ms": 1_300
    }  # fmt: skip
    assert isinstance(room.services.logs, MemoryLogs)
    room.services.logs._logs.clear()  # the ten minutes are over
    later = room.services.turns.attach(room.user, following.log.turn_id, Position(1, 0))
    assert later.text == words_of(pcm)
    assert later.log.ended is not None
    assert later.log.ended.to_wire() == ending
    assert room.start()[1] == len(pcm)
    assert b'parley_speech_seconds_total{model="ear"} 1.3' in room.services.metrics.exposition()


def test_one_name_is_one_utterance(room: Room) -> None:
    """A text turn's name is not one."""
    following, _ = room.start()
    session = room.turns.session(room.user, following.log.turn_id)
    assert session is not None
    session.feed(0, b"\1\0" * 100)
    again, next_byte = room.start()
    assert again.log is following.log
    assert next_byte == 200
    room.services.text_turns.start(room.user, TextRequest("c-2", "hello"))
    with pytest.raises(Conflict):
        room.start("c-2")


def test_an_end_that_cannot_be_is_refused(room: Room) -> None:
    following, _ = room.start()
    turn = following.log.turn_id
    session = room.turns.session(room.user, turn)
    assert session is not None
    session.feed(0, b"\1\0" * 100)
    with pytest.raises(InvalidRequest):
        room.turns.finish(room.user, turn, 100)
    assert room.turns.finish(room.user, turn, 300) == 200
    with pytest.raises(NotFound):
        room.turns.finish(room.services.accounts.create_guest().identity, turn, 200)


def test_a_speaker_who_does_not_come_back_ends_the_utterance(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    """After `VOICE_IDLE_S`, with what was heard until then."""
    clock = FakeClock()
    monkeypatch.setattr(room.turns, "_clock", clock)
    following, _ = room.start()
    session = room.turns.session(room.user, following.log.turn_id)
    assert session is not None
    pcm = noise(0.7, RATE)
    session.feed(0, pcm)
    clock.advance(59)
    room.turns.check()
    assert session.ended_by == ""
    clock.advance(1)
    room.turns.check()
    ending = room.ending(following)
    assert (ending["status"], ending["ended_by"]) == ("done", "idle")
    assert following.log.answer() == words_of(pcm)


def test_a_recogniser_that_does_not_finish_is_left(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = FakeClock()
    monkeypatch.setattr(room.turns, "_clock", clock)
    room.stand.ear.deaf.clear()
    following, _ = room.start()
    room.turns.finish(room.user, following.log.turn_id, 0)
    gevent.sleep(0)
    clock.advance(FINISH_S)
    room.turns.check()
    ending = room.ending(following)
    assert (ending["status"], ending["reason"]) == ("failed", "timeout")


def test_voice_turns_are_limited_like_any_other(room: Room) -> None:
    """So many at once; none once the server is about to stop."""
    for number in range(room.services.settings.turns.max_running):
        room.start(f"c-{number}")
    with pytest.raises(RateLimited):
        room.start("one more")
    room.services.turns.drain(0)
    with pytest.raises(ServerBusy):
        room.start("too late")
    assert room.turns.sessions == {}


def test_a_stop_while_the_answer_begins_stops_the_answer(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is thrown into its transaction, and it does not run on unseen."""
    begun, go_on = Event(), Event()
    start = room.services.text_turns.start

    def slow_start(*given: object) -> Following:
        begun.set()
        go_on.wait(LIMIT_S)
        return start(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(room.turns._text_turns, "start", slow_start)
    following, _ = room.start(answer=AnswerRequest(), is_live=False)
    room.say(following, noise(0.6, RATE))
    assert begun.wait(LIMIT_S)
    room.turns.cancel(room.user, following.log.turn_id)
    assert room.ending(following)["status"] == "stopped"
    go_on.set()
    with gevent.Timeout(LIMIT_S):
        while room.services.turns.running(room.user):
            gevent.sleep(0.01)
    entries = [span.event for span in following.log.read(0)]
    assert any(isinstance(event, TranscriptFinal) for event in entries)
    assert not any(isinstance(event, AnswerStarted) for event in entries)
