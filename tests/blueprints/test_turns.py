"""`/v1/turns`: one log, read as JSON, followed as events, resumed from anywhere, stopped from anywhere."""

from __future__ import annotations

import json
from collections.abc import Iterator
from hashlib import sha256
from typing import Any

import gevent
import pytest
import requests
from gevent.event import Event

from services.events import ReasoningDelta, Restarted, Stop, TextDelta
from services.identity import Identity
from services.providers.base import ChatRequest
from services.relay.log import Position
from services.turns.following import Following
from services.turns.request import TextRequest
from tests.scripted import words
from tests.servers import Stand

LIMIT_S = 20


class Faucet:
    """A script whose pieces the test lets go one by one."""

    def __init__(self, *events: Any) -> None:
        self.events = events
        self.open = [Event() for _ in events]

    def __call__(self, request: ChatRequest) -> Iterator[Any]:
        for event, opened in zip(self.events, self.open, strict=True):
            assert opened.wait(LIMIT_S)
            yield event
        yield Stop("stop")

    def let(self, count: int) -> None:
        """Let the first `count` go."""
        for opened in self.open[:count]:
            opened.set()


class Reader:
    """A client of a turn's events, over a real connection."""

    def __init__(self, address: str, turn: str, headers: dict[str, str], **query: Any) -> None:
        self.answer = requests.get(
            f"{address}/v1/turns/{turn}",
            headers={**headers, "Accept": "text/event-stream"},
            params=query,
            stream=True,
            timeout=LIMIT_S,
        )
        self._lines = self.answer.iter_lines(chunk_size=1, decode_unicode=True)

    def next(self) -> tuple[str, str, dict[str, Any]]:
        """The next event: id, name, payload."""
        fields: dict[str, str] = {}
        for line in self._lines:
            if not line and "data" in fields:
                return fields["id"], fields["event"], json.loads(fields["data"])
            if line and not line.startswith(":"):
                name, _, value = line.partition(": ")
                fields[name] = value
        raise StopIteration

    def until(self, text: str) -> str:
        """Read until the answer's text ends with `text`; the id of that event."""
        got = ""
        while not got.endswith(text):
            at, name, payload = self.next()
            if name == "turn_delta" and payload["kind"] == "text":
                got += payload["text"]
        return at

    def rest(self) -> list[tuple[str, str, dict[str, Any]]]:
        """Everything up to the end of the connection."""
        events = []
        while True:
            try:
                events.append(self.next())
            except StopIteration:
                return events

    def leave(self) -> None:
        self.answer.close()


class Room:
    """Ann, her turns, and a real port."""

    def __init__(self, stand: Stand) -> None:
        self.stand = stand
        self.address = stand.site.open()
        self.headers = stand.site.register("ann")
        token = self.headers["Authorization"].removeprefix("Bearer ")
        self.identity: Identity = stand.services.doorkeeper.by_token(token)

    def ask(self, script: Any) -> Following:
        self.stand.provider.script = script
        request = TextRequest(f"c-{id(script)}", "hello", max_tokens=500_000)
        return self.stand.services.text_turns.start(self.identity, request)

    def finish(self) -> None:
        for running in self.stand.services.turns.running_here(self.identity):
            assert running.runner.wait(LIMIT_S)

    def json(self, turn: str, **query: Any) -> Any:
        return self.stand.site.client().get(f"/v1/turns/{turn}", query_string=query, headers=self.headers).get_json()

    def read(self, turn: str, last_event: str = "", **query: Any) -> Reader:
        headers = {**self.headers, **({"Last-Event-ID": last_event} if last_event else {})}
        return Reader(self.address, turn, headers, **query)


@pytest.fixture
def room(stand: Stand) -> Room:
    return Room(stand)


def text_of(entries: list[dict[str, Any]]) -> str:
    return "".join(entry["text"] for entry in entries if entry.get("kind") == "text")


def test_a_turn_reads_as_json_while_it_runs_and_after(room: Room) -> None:
    """Dense entries with their names; `after` leaves out what the caller has."""
    faucet = Faucet(ReasoningDelta("hm"), TextDelta("one "), TextDelta("two"))
    turn = room.ask(faucet).log.turn_id
    faucet.let(2)
    reader = room.read(turn)
    reader.until("one ")
    running = room.json(turn)
    assert (running["status"], running["epoch"], running["from"]) == ("running", 1, 0)
    assert "text" not in running
    faucet.let(3)
    room.finish()

    done = room.json(turn)
    assert done["status"] == "done"
    assert [entry["event"] for entry in done["entries"]] == [
        "turn_state", "turn_delta", "turn_state", "turn_delta", "turn_end",
    ]  # fmt: skip
    reached = 0
    for entry in done["entries"]:
        assert (entry["turn"], entry["epoch"], entry["offset"]) == (turn, 1, reached + 1)
        reached += entry.get("count", 1)
    assert reached == done["offset"]
    assert text_of(done["entries"]) == "one two"
    end = done["entries"][-1]
    assert (end["length"], end["sha256"]) == (7, sha256(b"one two").hexdigest())

    rest = room.json(turn, after=running["offset"])
    assert rest["from"] == running["offset"]
    assert running["entries"] + rest["entries"] != []
    assert text_of(running["entries"]) + text_of(rest["entries"]) == "one two"


def test_events_come_as_they_happen_and_carry_their_place(room: Room) -> None:
    """A reader sees the first piece while the second is not there yet; ids are `turn:epoch:offset`."""
    faucet = Faucet(TextDelta("春"), TextDelta("眠"))
    turn = room.ask(faucet).log.turn_id
    reader = room.read(turn)
    assert reader.answer.headers["Content-Type"] == "text/event-stream; charset=utf-8"
    assert reader.answer.headers["Cache-Control"] == "no-store"
    assert reader.next()[:2] == (f"{turn}:1:1", "turn_state")
    faucet.let(1)
    assert reader.until("春") == f"{turn}:1:3"
    faucet.let(2)
    events = reader.rest()
    assert [name for _, name, _ in events] == ["turn_delta", "turn_end"]
    assert events[0][2] == {"turn": turn, "epoch": 1, "offset": 4, "count": 1, "kind": "text", "text": "眠"}
    assert events[-1][0] == f"{turn}:1:5"


def test_a_reader_that_comes_back_gets_exactly_the_rest(room: Room) -> None:
    """From every place in the log: what was read before, and what comes then, make the whole."""
    turn = room.ask(words("a", "b", "c", "d")).log.turn_id
    room.finish()
    end = room.json(turn)["offset"]
    for offset in range(end):
        events = room.read(turn, f"{turn}:1:{offset}").rest()
        assert events[0][2]["offset"] == offset + 1
        assert events[-1][1] == "turn_end"
        assert "".join(e[2].get("text", "") for e in events) == "abcd"[max(0, min(offset - 2, 4)) :]
    over = room.read(turn, f"{turn}:1:{end}").answer
    assert (over.status_code, over.content) == (204, b"")


def test_last_event_id_counts_more_than_the_query(room: Room) -> None:
    """A browser repeats the address it began with; where it is by now stands in the header."""
    turn = room.ask(words("a", "b")).log.turn_id
    room.finish()
    events = room.read(turn, f"{turn}:1:3", after=0, epoch=1).rest()
    assert events[0][2]["offset"] == 4


@pytest.mark.parametrize(
    "wrong",
    ["x", "{turn}", "{turn}:1", "{turn}:1:", "{turn}:0:1", "{turn}:1:-1", "{turn}:1:1:1", "t_other:1:1", "{turn}:１:1"],
)
def test_a_malformed_last_event_id_is_refused(room: Room, wrong: str) -> None:
    turn = room.ask(words("a")).log.turn_id
    room.finish()
    headers = {**room.headers, "Accept": "text/event-stream", "Last-Event-ID": wrong.format(turn=turn)}
    answer = room.stand.site.client().get(f"/v1/turns/{turn}", headers=headers)
    assert (answer.status_code, answer.get_json()["error"]["field"]) == (400, "Last-Event-ID")


def test_a_new_epoch_is_told_before_what_follows_it(room: Room) -> None:
    """Live, and to one who comes back with a place in the old epoch."""
    faucet = Faucet(ReasoningDelta("first try"), Restarted(), TextDelta("answer"))
    turn = room.ask(faucet).log.turn_id
    reader = room.read(turn)
    faucet.let(1)
    while reader.next()[1] != "turn_delta":
        pass
    faucet.let(2)
    at, name, payload = reader.next()
    assert (at, name) == (f"{turn}:2:1", "turn_rewind")
    assert payload == {"turn": turn, "epoch": 2, "offset": 1, "length": 0}
    faucet.let(3)
    live = reader.rest()
    room.finish()

    back = room.read(turn, f"{turn}:1:2").rest()
    assert back[0][1:] == ("turn_rewind", payload)
    assert [event[2]["offset"] for event in back[1:]] == [event[2]["offset"] for event in live] == [2, 3, 4]
    assert room.json(turn, epoch=1, after=2)["entries"][0]["event"] == "turn_rewind"


def test_when_the_log_is_gone_the_text_stands_in_for_it(site_env: dict[str, str]) -> None:
    """First `turn_text` with all of it, then the ending; a reader that has everything is told so."""
    stand = Stand({**site_env, "REPLAY_TTL_S": "0"})
    try:
        room = Room(stand)
        following = room.ask(words("gone ", "but kept"))
        turn = following.log.turn_id
        room.finish()
        events = room.read(turn).rest()
        assert [name for _, name, _ in events] == ["turn_text", "turn_end"]
        assert events[0][2] == {"turn": turn, "epoch": 1, "offset": 4, "text": "gone but kept"}
        assert events[1][2]["sha256"] == sha256(b"gone but kept").hexdigest()
        as_json = room.json(turn, after=2)
        assert (as_json["from"], as_json["text"]) == (4, "gone but kept")
        assert [entry["event"] for entry in as_json["entries"]] == ["turn_end"]
        assert room.read(turn, events[1][0]).answer.status_code == 204
    finally:
        stand.site.close()


def test_a_place_in_the_future_gets_the_text(room: Room) -> None:
    turn = room.ask(words("a", "b")).log.turn_id
    room.finish()
    events = room.read(turn, f"{turn}:7:1").rest()
    assert [name for _, name, _ in events] == ["turn_text", "turn_end"]
    assert events[0][2]["text"] == "ab"


def test_stopping_ends_the_turn_for_every_reader(room: Room) -> None:
    faucet = Faucet(TextDelta("kept "), TextDelta("never sent"))
    turn = room.ask(faucet).log.turn_id
    reader = room.read(turn)
    faucet.let(1)
    reader.until("kept ")
    ended = room.stand.site.client().post(f"/v1/turns/{turn}/stop", headers=room.headers).get_json()
    last = reader.rest()[-1]
    assert ended == {"status": "stopped", "offset": last[2]["offset"], "length": 5}
    assert (last[1], last[2]["status"], last[2]["reason"]) == ("turn_end", "stopped", "user")
    again = room.stand.site.client().post(f"/v1/turns/{turn}/stop", headers=room.headers).get_json()
    assert again == ended


def test_a_reader_that_does_not_read_delays_nobody(room: Room) -> None:
    """Nothing is queued for it: the turn ends, another reader has it all, and it gets everything later itself."""
    pieces = ["x" * 1_000 for _ in range(900)]
    go = Event()

    def script(request: ChatRequest) -> Iterator[Any]:
        assert go.wait(LIMIT_S)
        yield from map(TextDelta, pieces)
        yield Stop("stop")

    turn = room.ask(script).log.turn_id
    stuck, lively = room.read(turn), room.read(turn)
    go.set()
    room.finish()
    whole = "".join(pieces)
    for reader in (lively, stuck):
        events = reader.rest()
        assert "".join(event[2].get("text", "") for event in events) == whole
        assert events[-1][2]["sha256"] == sha256(whole.encode()).hexdigest()


def test_a_reader_that_leaves_is_forgotten_and_the_turn_goes_on(room: Room) -> None:
    faucet = Faucet(TextDelta("a"), *[TextDelta("b" * 1_000) for _ in range(400)])
    turn = room.ask(faucet).log.turn_id
    reader = room.read(turn)
    faucet.let(1)
    reader.until("a")
    assert "parley_http_viewers 1.0" in room.stand.site.client().get("/metrics").text
    reader.leave()
    faucet.let(401)
    room.finish()
    with gevent.Timeout(LIMIT_S):
        while "parley_http_viewers 0.0" not in room.stand.site.client().get("/metrics").text:
            gevent.sleep(0)
    log = room.stand.services.turns.attach(room.identity, turn, Position(1, 0)).log
    assert log.ended is not None
    assert (log.ended.status, log.ended.length) == ("done", 400_001)
