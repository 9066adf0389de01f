"""The sound of an utterance: taken once and in order, bounded in every direction. Pure but for a fake clock."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config import VoiceSettings
from services.turns.voice_session import Verdict, VoiceSession
from tests.clocks import FakeClock

RATE = 8_000
SECOND = RATE * 2
LOUD = b"\x00\x40" * RATE
QUIET = b"\x10\x00" * RATE


def session_of(*, clock: FakeClock | None = None, is_live: bool = True, **settings: float) -> VoiceSession:
    return VoiceSession(
        "t", "u", rate=RATE, settings=VoiceSettings(**settings), clock=clock or FakeClock(), is_live=is_live
    )


@given(
    size=st.integers(1, 400),
    frames=st.lists(st.tuples(st.integers(0, 400), st.integers(1, 60)), max_size=60),
    read=st.integers(1, 90),
)
def test_whatever_order_frames_come_in_the_sound_is_the_source(
    size: int, frames: list[tuple[int, int]], read: int
) -> None:
    """Repetitions, overlaps and holes: what is read is a beginning of the source, as long as `next` says."""
    source = random.Random(size).randbytes(size * 2)
    session = session_of()
    for at, length in frames:
        before = session.next
        piece = source[at * 2 : (at + length) * 2]
        if not piece:
            continue
        verdict = session.feed(at * 2, piece)
        assert verdict is (Verdict.HOLE if at * 2 > before else Verdict.TAKEN)
        assert session.next == (before if verdict is Verdict.HOLE else max(before, at * 2 + len(piece)))
    session.end("client")
    heard = b""
    while piece := session.read(read) or b"":
        heard += piece
    assert heard == source[: session.next]


def test_only_so_much_may_wait() -> None:
    """A frame beyond it is refused whole; once something is read there is room again."""
    clock = FakeClock()
    session = session_of(clock=clock, ahead_s=2)
    assert session.feed(0, LOUD) is session.feed(SECOND, LOUD) is Verdict.TAKEN
    assert session.feed(2 * SECOND, b"\0\0") is Verdict.OVERRUN
    assert session.next == 2 * SECOND
    clock.advance(10)
    session.read(SECOND)
    assert session.feed(2 * SECOND, LOUD) is Verdict.TAKEN


def test_sound_cannot_come_much_faster_than_it_is_spoken() -> None:
    """Unless it is a recording that is there as a whole."""
    clock = FakeClock()
    live = session_of(clock=clock, max_speed=2, ahead_s=1)
    recorded = session_of(clock=clock, max_speed=2, ahead_s=1, is_live=False)
    taken = {"live": 0, "recorded": 0}
    for _ in range(10):
        for name, session in (("live", live), ("recorded", recorded)):
            taken[name] += session.feed(session.next, LOUD) is Verdict.TAKEN
            session.read(SECOND, timeout_s=0)
    assert taken == {"live": 1, "recorded": 10}
    clock.advance(1)
    assert live.feed(live.next, LOUD) is Verdict.TAKEN


def test_an_utterance_ends_where_it_may_be_no_longer() -> None:
    """What is beyond is not taken, and what follows is told that it is over."""
    session = session_of(max_s=1.5)
    session.feed(0, LOUD)
    session.feed(SECOND, LOUD)
    assert (session.next, session.ended_by) == (SECOND * 3 // 2, "length")
    assert session.feed(session.next, LOUD) is Verdict.OVER
    assert session.read(10 * SECOND) == LOUD + LOUD[: SECOND // 2]
    assert session.read(SECOND) == b""


def test_silence_ends_an_utterance() -> None:
    """A sound in between begins the count anew."""
    clock = FakeClock()
    session = session_of(clock=clock, silence_s=3)
    for piece in (QUIET, QUIET, LOUD, QUIET, QUIET):
        clock.advance(1)
        session.feed(session.next, piece)
        session.read(SECOND)
    assert session.ended_by == ""
    session.feed(session.next, QUIET)
    session.read(SECOND)
    assert session.ended_by == "silence"


@pytest.mark.parametrize("size", [1_280, 5_000])
def test_a_pause_takes_nothing(size: int) -> None:
    """A reader that waits for more than is there learns that the speaker pauses, and loses nothing."""
    session = session_of()
    session.feed(0, LOUD[: size - 2])
    assert session.read(size, timeout_s=0) is None
    session.feed(size - 2, LOUD[:4])
    assert session.read(size, timeout_s=0) == LOUD[: size - 2] + LOUD[:2]


def test_the_first_end_counts() -> None:
    session = session_of()
    session.end("client")
    session.end("idle")
    assert session.ended_by == "client"
