from __future__ import annotations

from contextvars import ContextVar
from typing import Any

import gevent
import pytest
from gevent.event import Event

from sockets.serving.crew import Crew

colour: ContextVar[str] = ContextVar("colour", default="none")


def test_tasks_start_in_order_and_use_greenlets_again() -> None:
    crew = Crew()
    done: list[tuple[int, gevent.Greenlet]] = []
    for _ in range(2):
        for number in range(3):
            crew.run(lambda number: done.append((number, gevent.getcurrent())), number)
        gevent.sleep(0)
    assert [number for number, _ in done] == [0, 1, 2, 0, 1, 2]
    assert len({greenlet for _, greenlet in done}) == 3


def test_a_waiting_task_holds_nobody_up() -> None:
    crew, gate = Crew(), Event()
    done: list[int] = []
    crew.run(gate.wait)
    crew.run(done.append, 1)
    gevent.sleep(0)
    assert done == [1]
    gate.set()


def test_a_failing_or_killed_task_takes_nothing_with_it(caplog: pytest.LogCaptureFixture) -> None:
    crew = Crew()
    done: list[Any] = []

    def fail() -> None:
        colour.set("red")
        done.append(gevent.getcurrent())
        raise RuntimeError("on purpose")

    crew.run(fail)
    gevent.sleep(0)
    crew.run(lambda: done.append(colour.get()))
    gevent.sleep(0)
    done[0].kill()
    crew.run(done.append, "still")
    gevent.sleep(0)
    assert done[1:] == ["none", "still"]
    assert len(caplog.records) == 1
