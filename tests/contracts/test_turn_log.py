"""What every turn log promises, asked of each implementation."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest

from services.clock import SystemClock
from services.events import ReasoningDelta, StateChanged, TextDelta, TurnEnded, Usage
from services.ids import new_id
from services.relay.log import Entry, Position, TurnLog
from services.relay.memory_log import MemoryLog, MemoryLogs
from services.relay.redis_logs import RedisLogs
from services.wire.redis_link import RedisLink
from tests.clocks import FakeClock
from tests.redis_server import redis_url  # noqa: F401

END = TurnEnded("done", "stop", Usage(), 0, 0, "", "m_1")


@pytest.fixture(params=["memory", "redis"])
def log(request: pytest.FixtureRequest) -> Iterator[TurnLog]:
    if request.param == "memory":
        yield MemoryLog("t_1")
        return
    link = RedisLink(request.getfixturevalue("redis_url"), new_id("x"))
    logs = RedisLogs(link, SystemClock(), worker="one", ttl_s=60, lease_s=4)
    yield logs.open(new_id("t"))
    logs.close()


class Counting:
    """A watcher that notes what it was told."""

    def __init__(self) -> None:
        self.woken: list[bool] = []

    def wake(self, urgent: bool) -> None:
        self.woken.append(urgent)


def told(log: TurnLog, after: int, max_chars: int = 16_384) -> list[tuple[int, int, str, str]]:
    """Everything after an offset, read to the end."""
    out = []
    while spans := log.read(after, max_chars):
        out += [(span.offset, span.count, span.kind, span.text) for span in spans]
        after = spans[-1].last
    return out


def test_offsets_are_dense_and_kinds_are_joined(log: TurnLog) -> None:
    """Entries count from 1 without a hole; neighbours of one kind come joined."""
    entries: list[Entry] = [StateChanged("thinking"), ReasoningDelta("hm"), ReasoningDelta("!")]
    entries += [TextDelta("春"), TextDelta("眠")]
    assert [log.append(entry) for entry in entries] == [1, 2, 3, 4, 5]
    assert told(log, 0) == [(1, 1, "state", ""), (2, 2, "reasoning", "hm!"), (4, 2, "text", "春眠")]
    assert (log.answer(), log.reasoning(), log.length) == ("春眠", "hm!", 2)


@pytest.mark.parametrize("ended", [False, True])
@pytest.mark.parametrize("max_chars", [1, 3, 10_000])
def test_a_replay_from_any_offset_is_exact(log: TurnLog, ended: bool, max_chars: int) -> None:
    """From every offset, running or ended, in bites of any size: what follows, once, in order."""
    rng = random.Random(7)
    pieces: list[tuple[str, str]] = []
    for number in range(1, 60):
        kind = rng.choice(["text", "text", "text", "reasoning", "state"])
        text = f"<{number}>" if kind != "state" else ""
        entries: dict[str, Entry] = {"text": TextDelta(text), "reasoning": ReasoningDelta(text)}
        log.append(entries.get(kind, StateChanged("thinking")))
        pieces.append((kind, text))
    if ended:
        log.append(END)
        pieces.append(("end", ""))
    for after in range(len(pieces) + 1):
        expected, seen = pieces[after:], after
        for offset, count, kind, text in told(log, after, max_chars):
            assert offset == seen + 1
            here, expected = expected[:count], expected[count:]
            assert {kind} == {k for k, _ in here}
            assert text == "".join(t for _, t in here)
            seen += count
        assert not expected


def test_nothing_follows_the_ending(log: TurnLog) -> None:
    """There is one `turn_end`, and it is last."""
    log.append(TextDelta("x"))
    log.append(END)
    with pytest.raises(ValueError, match="ended"):
        log.append(TextDelta("y"))
    with pytest.raises(ValueError, match="ended"):
        log.rewind(0)
    assert [span.kind for span in log.read(0)] == ["text", "end"]


def test_a_rewind_begins_an_epoch_and_brings_old_positions_back(log: TurnLog) -> None:
    """Readers of any older epoch are told how much stays valid, even over two rewinds."""
    for letter in "abcdef":
        log.append(TextDelta(letter))
    assert (log.rewind(4).epoch, log.offset, log.length) == (2, 4, 4)
    log.append(TextDelta("E"))
    log.rewind(2)
    log.append(TextDelta("C"))
    assert log.answer() == "abC"
    for position, offset in [((1, 6), 2), ((1, 1), 1), ((2, 5), 2), ((2, 2), 2)]:
        kept, rewind = log.locate(Position(*position))
        assert kept == offset
        assert rewind is not None
        assert (rewind.epoch, rewind.offset, rewind.length) == (3, offset, offset)
    assert log.locate(Position(3, 3)) == (3, None)


@pytest.mark.parametrize("position", [Position(1, 2), Position(2, 0)])
def test_a_position_in_the_future_is_refused(log: TurnLog, position: Position) -> None:
    """A reader cannot have seen what was never written."""
    log.append(TextDelta("a"))
    with pytest.raises(ValueError, match="ahead"):
        log.locate(position)


def test_watchers_are_woken_inside_append(log: TurnLog) -> None:
    """Pieces are not urgent; states, rewinds and the ending are; after `unwatch` there is silence."""
    watcher = Counting()
    log.watch(watcher)
    log.watch(watcher)
    log.append(StateChanged("thinking"))
    log.append(TextDelta("a"))
    log.rewind(1)
    log.append(END)
    assert watcher.woken == [True, False, True, True]
    other = Counting()
    log.watch(other)
    log.unwatch(other)
    log.unwatch(other)
    assert other.woken == []


def test_an_ended_log_is_kept_for_the_replay_time() -> None:
    """Running logs stay; ended ones go `ttl_s` after their ending."""
    clock = FakeClock()
    logs = MemoryLogs(clock, ttl_s=600)
    running, ended = logs.open("t_1"), logs.open("t_2")
    ended.append(END)
    logs.release("t_2")
    clock.advance(599)
    assert logs.find("t_2") is ended
    clock.advance(2)
    assert logs.find("t_2") is None
    assert logs.find("t_1") is running


def test_ended_logs_share_a_bound() -> None:
    """The oldest ended ones go first; running ones are never forgotten."""
    logs = MemoryLogs(FakeClock(), ttl_s=600, max_kept_chars=250)
    running = logs.open("t_0")
    for number in range(1, 5):
        log = logs.open(f"t_{number}")
        log.append(TextDelta("x" * 100))
        log.append(END)
        logs.release(log.turn_id)
        logs.release(log.turn_id)
    assert [logs.find(f"t_{number}") is not None for number in range(5)] == [True, False, False, True, True]
    assert logs.find("t_0") is running
