"""A viewer is a cursor: it sees every entry once and in order, however slow its connection is."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator

import gevent
import orjson
import pytest

from services.events import ReasoningDelta, StateChanged, TextDelta, TurnEnded, Usage
from services.relay.log import Position
from services.relay.memory_log import MemoryLog
from sockets.delivery import Viewer
from sockets.frames import Encoder
from sockets.pacer import Pacer
from sockets.serving.frame import Frame

END = TurnEnded("done", "stop", Usage(1, 2), 3, 4, "ab", "m_1")


class Outlet:
    """A connection that takes so many frames until it is drained by the test."""

    def __init__(self, room: int = 10**9) -> None:
        self.room = room
        self.frames: list[Frame] = []
        self._waiting: list[Callable[[], None]] = []

    def offer(self, frame: Frame) -> bool:
        if self.room <= 0:
            return False
        self.room -= 1
        self.frames.append(frame)
        return True

    def when_drained(self, callback: Callable[[], None]) -> None:
        self._waiting.append(callback)

    def drain(self, room: int) -> None:
        self.room = room
        waiting, self._waiting = self._waiting, []
        for callback in waiting:
            callback()

    def events(self) -> list[tuple[str, dict]]:  # type: ignore[type-arg]
        out = []
        for frame in self.frames:
            assert frame.packet.startswith(b"42/text,")
            name, payload = orjson.loads(frame.packet.removeprefix(b"42/text,"))
            out.append((name, payload))
        return out


class Reader:
    """The viewer's rule of the protocol, as a client keeps it."""

    def __init__(self) -> None:
        self.epoch, self.last, self.text, self.ends = 1, 0, "", 0

    def take(self, events: list[tuple[str, dict]]) -> Reader:  # type: ignore[type-arg]
        for name, payload in events:
            if name == "turn_rewind":
                self.epoch, self.last = payload["epoch"], payload["offset"]
                self.text = self.text[: payload["length"]]
                continue
            count = payload.get("count", 1)
            assert payload["epoch"] == self.epoch
            assert payload["offset"] == self.last + 1
            self.last += count
            if name == "turn_delta" and payload["kind"] == "text":
                self.text += payload["text"]
            self.ends += name == "turn_end"
        return self


@pytest.fixture
def pacer() -> Iterator[Pacer]:
    pacer = Pacer()
    yield pacer
    pacer.close()


START = Position(1, 0)


def viewer(
    log: MemoryLog, outlet: Outlet, pacer: Pacer, *, after: Position = START, window_s: float = 0
) -> Viewer:
    made = Viewer(
        log, after, outlet=outlet, encoder=ENCODER, pacer=pacer, window_s=window_s,
        observe_delay=lambda seconds: None, on_end=lambda: None,
    )  # fmt: skip
    made.start()
    return made


ENCODER = Encoder("/text")


def test_with_window_zero_every_piece_is_a_frame(pacer: Pacer) -> None:
    """Live pieces go out one by one, in the same moment, shaped as the protocol says."""
    log, outlet = MemoryLog("t_1"), Outlet()
    viewer(log, outlet, pacer)
    log.append(StateChanged("thinking"))
    log.append(TextDelta('你"\n'))
    log.append(TextDelta("b"))
    log.append(END)
    assert outlet.events() == [
        ("turn_state", {"turn": "t_1", "epoch": 1, "offset": 1, "state": "thinking"}),
        ("turn_delta", {"turn": "t_1", "epoch": 1, "offset": 2, "count": 1, "kind": "text", "text": '你"\n'}),
        ("turn_delta", {"turn": "t_1", "epoch": 1, "offset": 3, "count": 1, "kind": "text", "text": "b"}),
        ("turn_end", {"turn": "t_1", "epoch": 1, "offset": 4, **END.to_wire()}),
    ]
    assert log.watchers == 0


def test_the_first_piece_is_not_held_and_later_ones_gather(pacer: Pacer) -> None:
    """Within a window pieces are joined; the ending does not wait for it."""
    log, outlet = MemoryLog("t_1"), Outlet()
    viewer(log, outlet, pacer, window_s=0.02)
    log.append(StateChanged("thinking"))
    for letter in "abcd":
        log.append(TextDelta(letter))
    assert [payload.get("text") for _, payload in outlet.events()] == [None, "a"]
    gevent.sleep(0.06)
    log.append(TextDelta("e"))
    log.append(TextDelta("f"))
    log.append(END)
    texts = [payload.get("text") for _, payload in outlet.events()]
    assert texts == [None, "a", "bcd", "e", "f", None]


def test_two_viewers_at_one_place_share_one_frame(pacer: Pacer) -> None:
    """A piece is encoded once, however many watch."""
    log, one, other = MemoryLog("t_1"), Outlet(), Outlet()
    viewer(log, one, pacer)
    viewer(log, other, pacer)
    log.append(TextDelta("x"))
    assert one.frames[0] is other.frames[0]


@pytest.mark.parametrize("seed", range(8))
def test_a_viewer_that_stalls_gets_everything_later_once(pacer: Pacer, seed: int) -> None:
    """Stalls, drains, rewinds and re-attachments at random: the text is that of the log, one ending."""
    rng = random.Random(seed)
    log, outlet, reader = MemoryLog("t_1"), Outlet(0), Reader()
    watching = viewer(log, outlet, pacer)
    for number in range(400):
        kind = rng.random()
        if kind < 0.02 and log.offset > 1:
            log.rewind(rng.randrange(max(1, log.offset - 20), log.offset))
        elif kind < 0.05:
            log.append(StateChanged("switching"))
        elif kind < 0.2:
            log.append(ReasoningDelta(f"r{number}"))
        else:
            log.append(TextDelta(f"{number}汉 "))
        if rng.random() < 0.1:
            outlet.drain(rng.randrange(4))
        if rng.random() < 0.03:  # the connection is lost; the client comes back with what it has
            reader.take(outlet.events())
            watching.close()
            outlet = Outlet(0)
            watching = viewer(log, outlet, pacer, after=Position(reader.epoch, reader.last))
    log.append(END)
    outlet.drain(10**9)
    reader.take(outlet.events())
    assert (reader.text, reader.last, reader.ends) == (log.answer(), log.offset, 1)


def test_a_stalled_viewer_costs_nothing_and_delays_nobody(pacer: Pacer) -> None:
    """While one does not read, nothing is encoded or kept for it, and the other has everything."""
    log, stuck, quick = MemoryLog("t_1"), Outlet(1), Outlet()
    viewer(log, stuck, pacer)
    viewer(log, quick, pacer)
    for _ in range(1000):
        log.append(TextDelta("x" * 100))
    assert (len(stuck.frames), len(quick.frames)) == (1, 1000)
    log.append(END)
    stuck.drain(10**9)
    assert Reader().take(stuck.events()).text == log.answer()
    assert len(stuck.frames) < 20  # gathered into a few frames of some 16 KB
