"""Logs that several workers share through a real Redis: copies, fences, leases, and what an outage leaves."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import gevent
import pytest
import redis
from gevent.event import Event

from services.clock import SystemClock
from services.events import ReasoningDelta, StateChanged, TextDelta, TurnEnded, Usage
from services.ids import new_id
from services.relay.log import Overtaken, Position, TurnLog
from services.relay.redis_log import RedisLog
from services.relay.redis_logs import RedisLogs
from services.wire.redis_link import RedisLink
from tests.redis_server import redis_url  # noqa: F401

END = TurnEnded("done", "stop", Usage(3, 4), 7, 2, "ab", "m_1", result={"regions": [[1, 2]]})

Workers = Callable[..., RedisLogs]


@pytest.fixture
def workers(redis_url: str) -> Iterator[Workers]:  # noqa: F811
    """Makes workers of one server, by name."""
    prefix, made = new_id("x"), []

    def make(name: str, lease_s: float = 0.5) -> RedisLogs:
        link = RedisLink(redis_url, prefix)
        made.append(RedisLogs(link, SystemClock(), worker=name, ttl_s=60, lease_s=lease_s))
        return made[-1]

    yield make
    for logs in made:
        logs.close()


def until(true: Callable[[], Any]) -> None:
    with gevent.Timeout(15, AssertionError("It never became true.")):
        while not true():
            gevent.sleep(0.01)


def whole(log: TurnLog) -> list[tuple[int, int, str, str]]:
    return [(span.offset, span.count, span.kind, span.text) for span in log.read(0, 10**9)]


def copied(logs: RedisLogs, original: TurnLog) -> RedisLog:
    until(lambda: logs.find(original.turn_id))
    copy = logs.find(original.turn_id)
    assert copy is not None
    until(lambda: (copy.epoch, copy.offset) == (original.epoch, original.offset))
    return copy


def stream_of(logs: RedisLogs, turn_id: str) -> str:
    return logs._keys.log(turn_id)


def test_a_copy_follows_pieces_rewinds_and_the_ending(workers: Workers) -> None:
    """Another worker's log is the same entry for entry, whenever it was first asked for."""
    here, there = workers("here"), workers("there")
    log = here.open(new_id("t"))
    log.append(StateChanged("thinking"))
    log.append(ReasoningDelta("嗯"))
    copy = copied(there, log)
    for piece in "春眠不觉晓":
        log.append(TextDelta(piece))
        gevent.sleep(0.005)
    assert whole(copied(there, log)) == whole(log)
    log.rewind(4)
    log.append(TextDelta("😀"))
    until(lambda: copy.epoch == 2 and copy.offset == 5)
    assert copy.answer() == "春眠😀"
    assert copy.locate(Position(1, 7)) == log.locate(Position(1, 7))
    log.append(END)
    until(lambda: copy.ended)
    assert copy.ended == END
    assert whole(copied(workers("late"), log)) == whole(log)


def test_a_turn_nobody_has_is_not_found(workers: Workers) -> None:
    assert workers("one").find(new_id("t")) is None


def test_a_silent_worker_is_replaced_and_its_late_writes_are_refused(workers: Workers) -> None:
    """The claimant goes on from what Redis has, under a new epoch; the former owner's viewers see that."""
    here, there = workers("here"), workers("there")
    log = here.open(new_id("t"), b"the order")
    log.append(TextDelta("one "))
    until(lambda: log.is_sent and log.known)
    assert there.claim(log.turn_id, least_fence=1, sure="lapsed") is None
    here._journal._writing.kill()  # type: ignore[union-attr]  # as a paused process is
    gone: list[str] = []
    log.on_overtaken = lambda: gone.append("overtaken")
    log.append(TextDelta("that nobody else saw"))
    until(lambda: log.turn_id in there.lapsed())
    claimed = there.claim(log.turn_id, least_fence=1, sure="lapsed")
    assert claimed is not None
    assert (claimed.order, claimed.log.fence, claimed.log.answer()) == (b"the order", 2, "one ")
    claimed.log.rewind(claimed.log.offset)
    claimed.log.append(TextDelta("two"))
    here._journal.flush()
    assert gone == ["overtaken"]
    with pytest.raises(Overtaken):
        log.append(TextDelta("late"))
    until(lambda: log.epoch == 2 and log.answer() == "one two")
    assert here.claim(log.turn_id, least_fence=1, sure="forgotten") is None
    claimed.log.append(END)
    until(lambda: log.ended)
    assert there.claim(log.turn_id, least_fence=1, sure="dead") is None


def test_what_redis_forgot_is_written_again(workers: Workers, redis_url: str) -> None:  # noqa: F811
    """A server that comes back empty, or a replica that had not heard the last second, gets it from the owner."""
    here, there = workers("here"), workers("there")
    log = here.open(new_id("t"), b"order")
    for number in range(20):
        log.append(TextDelta(f"{number} "))
        gevent.sleep(0.012)
    log.rewind(10)
    log.append(TextDelta("ten "))
    until(lambda: log.is_sent and log.known)
    copy = copied(there, log)
    with redis.Redis.from_url(redis_url) as client:
        key = stream_of(here, log.turn_id)
        for name, _ in client.xrevrange(key, count=3):
            client.xdel(key, name)
        rest = client.xrange(key)
        client.delete(key)  # a stream remembers its last id, a replica that never had it does not
        for name, fields in rest:
            client.xadd(key, fields, id=name)
        log.append(TextDelta("eleven "))
        until(lambda: log.is_sent)
        assert whole(copied(workers("third"), log)) == whole(log)
        client.delete(*client.keys(f"{here._link.prefix}:*"))
    log.append(TextDelta("twelve"))
    until(lambda: log.is_sent and log.known)
    assert whole(copied(workers("fourth"), log)) == whole(log)
    until(lambda: copy.offset == log.offset)
    assert copy.answer() == log.answer()
    assert [span.event for span in copy.read(0) if span.event] == []


def test_only_a_worker_of_the_same_name_knows_its_owner_dead(workers: Workers) -> None:
    """A restarted worker need not wait for its own leases; it takes nothing from those who live."""
    here, there = workers("here"), workers("there")
    log = here.open(new_id("t"), b"order")
    log.append(TextDelta("half"))
    until(lambda: log.is_sent and log.known)
    assert there.claim(log.turn_id, least_fence=1, sure="dead") is None
    assert workers("here").claim(log.turn_id, least_fence=1, sure="dead") is not None


def test_a_turn_that_redis_never_had_can_be_ended(workers: Workers) -> None:
    """Begun while Redis was away, by a worker that died: who claims it writes its ending, and it is over for all."""
    here, there = workers("here"), workers("there")
    claimed = here.claim(new_id("t"), least_fence=1, sure="forgotten")
    assert claimed is not None and claimed.order == b"-"
    log = claimed.log
    log.rewind(0)
    log.append(TextDelta("saved"))
    log.append(END)
    until(lambda: log.is_sent)
    found = there.find(log.turn_id)
    assert found is not None and (found.ended, found.answer()) == (END, "saved")
    assert there.claim(log.turn_id, least_fence=1, sure="dead") is None


def test_a_turn_handed_over_is_anybodys_at_once(workers: Workers) -> None:
    here, there = workers("here"), workers("there", 20.0)
    log = here.open(new_id("t"), b"order")
    log.append(TextDelta("half"))
    here.hand_over(log)
    assert not there.steady
    assert there.lapsed() == [log.turn_id]
    claimed = there.claim(log.turn_id, least_fence=1, sure="lapsed")
    assert claimed is not None and claimed.log.answer() == "half"
    claimed.log.rewind(1)
    claimed.log.append(TextDelta(" and half"))
    until(lambda: log.answer() == "half and half")


def test_a_stop_reaches_the_worker_that_runs_the_turn(workers: Workers) -> None:
    here, there = workers("here"), workers("there")
    asked: list[str] = []
    here.on_stop = asked.append
    log = here.open(new_id("t"))
    until(lambda: log.known)
    assert there.ask_to_stop(log.turn_id)
    until(lambda: asked == [log.turn_id])


def test_somebody_elses_entries_hurt_nobody(workers: Workers, redis_url: str) -> None:  # noqa: F811
    """Garbage in a stream ends one copy; it is read anew when asked for, and other turns go on."""
    here, there = workers("here"), workers("there")
    log, other = here.open(new_id("t")), here.open(new_id("t"))
    log.append(TextDelta("good"))
    other.append(TextDelta("fine"))
    copied(there, log)
    copied(there, other)
    with redis.Redis.from_url(redis_url) as client:
        client.xadd(stream_of(here, log.turn_id), {"k": "text", "v": "not json"}, id="1-2")
    other.append(TextDelta(" too"))
    assert copied(there, other).answer() == "fine too"
    assert there.works


def test_peers_are_those_heard_just_now(workers: Workers) -> None:
    here, there = workers("here"), workers("there")
    until(lambda: here.peers() == ["there"] and there.peers() == ["here"])
    there.retire()
    there._reader.close()
    there.retire()
    until(lambda: here.peers() == [])


def test_a_deaf_worker_finds_out_and_hears_again(workers: Workers, monkeypatch: pytest.MonkeyPatch) -> None:
    """Redis takes its words, but its reading stands still: it says so, and reads anew."""
    monkeypatch.setattr("services.relay.reader.DEAF_S", 0.5)
    monkeypatch.setattr("services.relay.reader.CANARY_S", 0.1)
    logs = workers("here")
    follow, standing = logs._link.follow, Event()

    def stand_still(streams: dict[str, str], count: int) -> Any:
        standing.set()
        gevent.sleep(60)

    monkeypatch.setattr(logs._link, "follow", stand_still)
    assert standing.wait(10)
    until(lambda: not logs.works)
    monkeypatch.setattr(logs._link, "follow", follow)
    until(lambda: logs.works)
