"""A turn runs to exactly one ending, whatever its provider does."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import gevent
import pytest
from gevent.event import Event

from services.errors import ContentBlocked, VendorOverloaded
from services.events import Reason, ReasoningDelta, Restarted, StateChanged, Stop, TextDelta, TurnEnded, Usage
from services.relay.memory_log import MemoryLog
from services.relay.runner import MAX_ANSWER_CHARS, Outcome, Runner
from services.relay.watchdog import Deadline, Limits, Watchdog
from services.telemetry.metrics import Metrics
from tests.clocks import FakeClock


class Free:
    """A meter without a limit."""

    def spend(self, text: str) -> None:
        return None


class Stage:
    """Everything a runner needs, with a settlement that remembers."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.watchdog = Watchdog(self.clock)
        self.log = MemoryLog("t_1")
        self.settled: list[Outcome] = []

    def settle(self, outcome: Outcome) -> TurnEnded:
        self.settled.append(outcome)
        usage = outcome.usage or Usage(estimated=True)
        error = outcome.error.to_wire() if outcome.error else None
        return TurnEnded(outcome.status, outcome.reason, usage, 0, len(outcome.text), outcome.sha256, "m_1", error)

    def runner(self, stream: Callable[[], Iterator[Any]], meter: Any = None, *, resumes: bool = False) -> Runner:
        deadline = Deadline(self.clock, Limits(first_piece_s=30, idle_s=20, total_s=600))
        return Runner(
            self.log,
            stream=lambda _: stream(),
            meter=meter or Free(),
            settle=self.settle,
            deadline=deadline,
            watchdog=self.watchdog,
            metrics=Metrics(),
            resumes=resumes,
        )

    def run(self, stream: Callable[[], Iterator[Any]], meter: Any = None) -> TurnEnded:
        runner = self.runner(stream, meter)
        runner.start()
        ended = runner.wait(5)
        assert ended is not None
        assert [span.kind for span in self.log.read(0, 10**9)].count("end") == 1
        assert len(self.settled) == 1
        return ended


@pytest.fixture
def stage() -> Iterator[Stage]:
    stage = Stage()
    yield stage
    stage.watchdog.close()


def test_a_whole_answer(stage: Stage) -> None:
    """States come first, then the pieces as the provider gave them, then the ending with the vendor's usage."""

    def stream() -> Iterator[Any]:
        yield ReasoningDelta("hm")
        yield TextDelta("你")
        yield TextDelta("好")
        yield Stop("stop", Usage(9, 2))

    ended = stage.run(stream)
    assert (ended.status, ended.reason, ended.usage, ended.length) == ("done", "stop", Usage(9, 2), 2)
    assert ended.sha256 == "670d9743542cae3ea7ebe36af56bd53648b0a1126162e78d81a32934a711302e"
    assert [(s.kind, s.text) for s in stage.log.read(0)] == [
        ("state", ""), ("reasoning", "hm"), ("state", ""), ("text", "你好"), ("end", ""),
    ]  # fmt: skip


@pytest.mark.parametrize("shown", ["", "half"])
def test_a_turn_of_another_worker_that_is_ended_counts_what_that_one_showed(stage: Stage, shown: str) -> None:
    """Its states are no pieces: where no text had come nothing is charged."""
    stage.log.append(StateChanged("thinking"))
    if shown:
        stage.log.append(TextDelta(shown))
    runner = stage.runner(lambda: iter(()), resumes=True)
    runner.stop("interrupted", "shutdown")
    runner.start()
    assert runner.wait(5) is not None
    assert bool(stage.settled[0].pieces) == bool(shown)


@pytest.mark.parametrize(
    ("error", "reason", "code"),
    [
        (VendorOverloaded("Busy."), "vendor", "vendor_overloaded"),
        (ContentBlocked("No."), "content_filter", "content_blocked"),
        (RuntimeError("secret"), "internal", "internal"),
    ],
)
def test_a_failure_keeps_the_partial_text(stage: Stage, error: Exception, reason: str, code: str) -> None:
    """What was shown stays; the error is coded; a bug's own words are not told."""

    def stream() -> Iterator[Any]:
        yield TextDelta("half")
        raise error

    ended = stage.run(stream)
    assert (ended.status, ended.reason, ended.length) == ("failed", reason, 4)
    assert ended.error is not None
    assert ended.error["code"] == code
    assert "secret" not in ended.error["message"]


def test_a_stop_hangs_up_at_once_and_later_stops_change_nothing(stage: Stage) -> None:
    """Stopping closes the provider's stream in its network wait and ends the turn once."""
    waiting, closed = Event(), Event()

    def stream() -> Iterator[Any]:
        try:
            yield TextDelta("so far")
            waiting.set()
            Event().wait(60)
            yield TextDelta("never")
        finally:
            closed.set()

    runner = stage.runner(stream)
    runner.start()
    assert waiting.wait(5)
    runner.stop()
    runner.stop("interrupted", "shutdown")
    ended = runner.wait(5)
    assert ended is not None
    assert closed.is_set()
    assert (ended.status, ended.reason, stage.log.answer()) == ("stopped", "user", "so far")
    assert ended.error is None


def test_a_stop_before_the_first_step(stage: Stage) -> None:
    """A turn that is stopped before its greenlet ran never calls the vendor."""
    called: list[int] = []

    def stream() -> Iterator[Any]:
        called.append(1)
        yield Stop("stop")

    runner = stage.runner(stream)
    runner.start()
    runner.stop()
    ended = runner.wait(5)
    assert ended is not None
    assert (ended.status, called) == ("stopped", [])


def test_a_stop_never_lands_outside_the_vendor_call(stage: Stage) -> None:
    """While the meter asks the database, a stop waits; the transaction is not torn."""
    entered, go_on, torn = Event(), Event(), []

    class Asking:
        def spend(self, text: str) -> None:
            entered.set()
            try:
                go_on.wait(60)
            except BaseException as error:
                torn.append(error)
                raise

    def stream() -> Iterator[Any]:
        yield TextDelta("a")
        yield TextDelta("b")
        yield Stop("stop")

    runner = stage.runner(stream, Asking())
    runner.start()
    assert entered.wait(5)
    runner.stop()
    gevent.sleep(0.01)
    go_on.set()
    ended = runner.wait(5)
    assert ended is not None
    assert (torn, ended.status, stage.log.answer()) == ([], "stopped", "a")


@pytest.mark.parametrize(("advance", "status"), [(29, None), (31, "failed")])
def test_the_first_piece_has_a_limit(stage: Stage, advance: float, status: str | None) -> None:
    """A vendor that never begins is given up by our own clock."""
    waiting = Event()

    def stream() -> Iterator[Any]:
        waiting.set()
        Event().wait(60)
        yield Stop("stop")

    runner = stage.runner(stream)
    runner.start()
    assert waiting.wait(5)
    stage.clock.advance(advance)
    stage.watchdog.check()
    gevent.sleep(0.01)
    ended = stage.log.ended
    assert (ended and ended.status) == status
    if ended:
        assert (ended.reason, ended.error and ended.error["code"]) == ("timeout", "vendor_timeout")
    runner.stop()
    assert runner.wait(5)


def test_pieces_renew_the_idle_limit_but_not_the_total(stage: Stage) -> None:
    """Idle counts from the last piece; ten minutes are ten minutes."""
    turn = Event()

    def stream() -> Iterator[Any]:
        while True:
            turn.wait(60)
            turn.clear()
            yield TextDelta(".")

    runner = stage.runner(stream)
    runner.start()
    for _ in range(33):
        gevent.sleep(0.001)
        stage.clock.advance(19)
        stage.watchdog.check()
        turn.set()
        gevent.sleep(0.001)
        stage.watchdog.check()
    ended = runner.wait(5)
    assert ended is not None
    assert (ended.status, ended.reason) == ("failed", "timeout")
    assert ended.length >= 30


def test_an_account_that_runs_dry_cuts_the_answer(stage: Stage) -> None:
    """The piece that spent the last token stays; nothing follows it."""

    class Two:
        left = 2

        def spend(self, text: str) -> Reason | None:
            self.left -= 1
            return None if self.left > 0 else "quota"

    def stream() -> Iterator[Any]:
        while True:
            yield TextDelta("x")

    ended = stage.run(stream, Two())
    assert (ended.status, ended.reason, ended.length) == ("stopped", "quota", 2)


def test_an_endless_stream_is_cut_and_starves_nobody(stage: Stage) -> None:
    """A vendor that never pauses leaves the hub free for others and ends with `length`."""
    beats = []

    def beat() -> None:
        while True:
            beats.append(1)
            gevent.sleep(0)

    def stream() -> Iterator[Any]:
        while True:
            yield TextDelta("x" * 1000)

    other = gevent.spawn(beat)
    ended = stage.run(stream)
    other.kill()
    assert (ended.status, ended.reason) == ("done", "length")
    assert MAX_ANSWER_CHARS < ended.length < MAX_ANSWER_CHARS + 40_000
    assert len(beats) > 10


def test_a_restart_voids_the_reasoning_under_a_new_epoch(stage: Stage) -> None:
    """Reasoning of a failed attempt disappears; the next attempt's follows in epoch 2."""

    def stream() -> Iterator[Any]:
        yield ReasoningDelta("wrong")
        yield StateChanged("switching")
        yield Restarted()
        yield ReasoningDelta("right")
        yield TextDelta("answer")
        yield Stop("stop", Usage(1, 1))

    ended = stage.run(stream)
    assert (ended.status, stage.log.epoch, stage.log.reasoning()) == ("done", 2, "right")
    assert stage.settled[0].epoch == 2
