"""No user has more turns running, or starts more in a minute, than the limits say: over all workers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

import gevent
import pytest

from services.errors import RateLimited, ServerBusy
from services.quota.rate_limit import RateLimit
from services.quota.shared_rate_limit import SharedRateLimit
from services.turns.admission import Admission
from services.turns.places import Places
from services.turns.shared_places import SharedPlaces
from tests.passing_time import Workers


class Door:
    """A worker's: three at once, twenty in a minute."""

    def __init__(self, workers: Workers) -> None:
        gate = workers.gate()
        limit = {"per_minute": 20, "burst": 20}
        self.places = SharedPlaces(gate, workers.clock) if gate is not None else Places()
        starts = (
            SharedRateLimit(gate, workers.clock, name="starts", **limit)
            if gate is not None
            else RateLimit(workers.clock, **limit)
        )
        self.admission = Admission(starts=starts, max_running=3, places=self.places)

    def enters(self, user_id: str = "ann") -> bool:
        with suppress(RateLimited):
            self.admission.enter(user_id)
            return True
        return False


@pytest.fixture
def door(workers: Workers) -> Iterator[Door]:
    door = Door(workers)
    yield door
    door.places.close()


@pytest.fixture
def doors(joined: Workers) -> Iterator[list[Door]]:
    doors = [Door(joined), Door(joined)]
    yield doors
    for door in doors:
        door.places.close()


def test_as_many_at_once_as_may_be(door: Door) -> None:
    """Whoever leaves makes room at once; users do not touch each other."""
    assert [door.enters() for _ in range(5)] == [True, True, True, False, False]
    assert door.enters("bob")
    door.admission.leave("ann")
    assert [door.enters(), door.enters()] == [True, False]


def test_as_many_in_a_minute_as_may_be(door: Door, workers: Workers) -> None:
    """A start that is refused for its number holds no place."""
    started = 0
    for _ in range(30):
        if door.enters():
            started += 1
            door.admission.leave("ann")
    assert started == 20
    workers.pass_s(9)
    assert [door.enters() for _ in range(4)] == [True, True, True, False]


def test_a_draining_server_takes_nobody(door: Door) -> None:
    assert door.enters()
    door.admission.drain()
    with pytest.raises(ServerBusy):
        door.admission.enter("ann")
    door.admission.leave("ann")


def test_a_turn_taken_over_counts_but_is_never_refused(door: Door) -> None:
    for _ in range(5):
        door.admission.adopt("ann")
    assert not door.enters()
    for _ in range(5):
        door.admission.leave("ann")
    assert door.enters()


def test_many_at_once_on_two_workers_get_three_places(doors: list[Door]) -> None:
    asked = [gevent.spawn(doors[number % 2].enters) for number in range(40)]
    gevent.joinall(asked, timeout=30, raise_error=True)
    assert sum(one.value for one in asked) == 3
    for number, one in enumerate(asked):
        if one.value:
            doors[number % 2].admission.leave("ann")
    for door in doors:
        door.places.close()  # as a worker does that stops: it tells at once what it gave back
    assert [doors[0].enters() for _ in range(4)] == [True, True, True, False]


def test_the_places_of_a_killed_worker_come_back(joined: Workers) -> None:
    """Nobody renews them; those of one that lives are renewed."""
    killed, alive = Door(joined), Door(joined)
    assert isinstance(killed.places, SharedPlaces)
    assert isinstance(alive.places, SharedPlaces)
    assert [killed.enters(), killed.enters(), alive.enters(), alive.enters()] == [True, True, True, False]
    assert killed.places._keeping is not None
    killed.places._keeping.kill()
    joined.pass_s(8)
    alive.places.renew()
    joined.pass_s(8)
    assert [alive.enters(), alive.enters(), alive.enters()] == [True, True, False]
    alive.places.close()
