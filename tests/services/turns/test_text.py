"""Text turns on a real database: once only, paid exactly, stopped anywhere, kept over a restart."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gevent
import pytest
from gevent.event import Event
from sqlalchemy import func, select

from db.models import Message, Turn, TurnCheckpoint
from services.errors import (
    ChatError,
    Conflict,
    InvalidRequest,
    ModelUnknown,
    NotFound,
    QuotaExceeded,
    RateLimited,
    ServerBusy,
    VendorOverloaded,
    VendorRefused,
)
from services.events import ReasoningDelta, Stop, TextDelta, Usage
from services.providers.base import ChatRequest
from services.quota.estimate import completion_tokens
from services.relay.log import Position
from services.turns.request import AgainRequest
from services.turns.text import TextTurns
from tests.scripted import Stage, words

GRANT = 1_000_000


class Held:
    """A script that says a few pieces, then waits until it is let go."""

    def __init__(self, *pieces: str) -> None:
        self.pieces = pieces
        self.waiting, self.go_on = Event(), Event()

    def __call__(self, request: ChatRequest) -> Iterator[Any]:
        yield from map(TextDelta, self.pieces)
        self.waiting.set()
        self.go_on.wait(30)
        yield Stop("stop", Usage(5, len(self.pieces)))


def refused(kind: type[ChatError], field: str | None = None) -> Any:
    return pytest.raises(kind, check=lambda error: field is None or error.field == field)


def test_a_turn_is_stored_and_charged_as_the_vendor_said(stage: Stage) -> None:
    """Question, answer, usage and balance agree; every device hears of it."""
    stage.provider.script = words("春", "眠", usage=Usage(7, 2))
    log = stage.finish(following := stage.ask("c-1", "写一句诗"))
    assert log.ended is not None
    assert (log.ended.status, log.ended.usage, log.ended.charged) == ("done", Usage(7, 2), 9)
    assert stage.tokens() == GRANT - 9
    page = stage.services.conversations.messages(stage.user.user_id, following.conversation)
    question, answer = page.items
    assert (question.role, question.text, answer.role, answer.text) == ("user", "写一句诗", "assistant", "春眠")
    assert (answer.status, answer.id, answer.parent) == ("done", following.message, question.id)
    assert {event for _, event, _ in stage.notes} == {"conversation_changed", "quota_changed"}
    assert stage.notes[0][2]["title"] == "写一句诗"


def test_without_the_vendors_word_our_count_is_charged_and_marked(stage: Stage) -> None:
    """No usage: prompt and answer are estimated, and the estimate is what is charged."""
    stage.provider.script = words("four words of text")
    ended = stage.finish(stage.ask("c-1")).ended
    assert ended is not None
    assert ended.usage.estimated
    assert ended.usage.completion_tokens == completion_tokens("four words of text")
    assert stage.tokens() == GRANT - ended.charged == GRANT - ended.usage.total_tokens


def test_the_same_client_id_is_the_same_turn(stage: Stage) -> None:
    """Five retries at once and one after the end: one vendor call, one charge, one pair of messages."""
    stage.provider.script = held = Held("a")
    jobs = [gevent.spawn(stage.ask, "c-1") for _ in range(5)]
    gevent.joinall(jobs, raise_error=True)
    held.go_on.set()
    stage.finish(jobs[0].value)
    later = stage.ask("c-1", "another text altogether")
    assert {job.value.log.turn_id for job in jobs} == {later.log.turn_id}
    assert len(stage.provider.requests) == 1
    with stage.services.uow.read() as session:
        assert session.scalar(select(func.count()).select_from(Message)) == 2


def test_a_refused_start_leaves_nothing_and_its_name_is_free(stage: Stage) -> None:
    """After a refusal the same `client_id` may be used for a turn."""
    with pytest.raises(ModelUnknown):
        stage.ask("c-1", model="no such")
    with refused(NotFound, "conversation"):
        stage.ask("c-1", conversation="c_other")
    with refused(InvalidRequest, "conversation"):
        stage.ask("c-1", parent="m_x")
    with refused(InvalidRequest, "pictures"):
        stage.ask("c-1", pictures=("p_1",))
    with stage.services.uow.read() as session:
        assert session.scalar(select(func.count()).select_from(Message)) == 0
    assert stage.tokens() == GRANT
    stage.finish(stage.ask("c-1"))


def test_the_path_to_the_parent_is_the_prompt(stage: Stage) -> None:
    """A turn goes on from the head; `parent` branches; the conversation's id branches from the start."""
    stage.provider.script = words("one")
    first = stage.ask("c-1", "q1")
    stage.finish(first)
    stage.provider.script = words("two")
    second = stage.ask("c-2", "q2", conversation=first.conversation)
    stage.finish(second)
    stage.finish(stage.ask("c-3", "q3", conversation=first.conversation, parent=first.message, system="Be brief."))
    stage.finish(stage.ask("c-4", "q4", conversation=first.conversation, parent=first.conversation))
    prompts = [[(m.role, m.text) for m in request.messages] for request in stage.provider.requests]
    assert prompts[1] == [("user", "q1"), ("assistant", "one"), ("user", "q2")]
    assert prompts[2] == [("system", "Be brief."), ("user", "q1"), ("assistant", "one"), ("user", "q3")]
    assert prompts[3] == [("user", "q4")]


def test_another_answer_stands_beside_the_first(stage: Stage) -> None:
    """Regenerating by the answer or by the question gives a sibling with the same prompt."""
    stage.provider.script = words("one")
    first = stage.ask("c-1", "q1")
    stage.finish(first)
    again = stage.services.text_turns.again(stage.user, AgainRequest("c-2", first.message))
    stage.finish(again)
    answers = stage.services.conversations.messages(stage.user.user_id, first.conversation).items
    question = answers[0]
    third = stage.services.text_turns.again(stage.user, AgainRequest("c-3", question.id))
    stage.finish(third)
    page = stage.services.conversations.messages(stage.user.user_id, first.conversation).items
    assert [m.parent for m in page if m.role == "assistant"] == [question.id] * 3
    assert len({tuple(request.messages) for request in stage.provider.requests}) == 1


def test_a_running_answer_cannot_be_built_upon(stage: Stage) -> None:
    """Asking after, or regenerating, an answer that is still being written is a conflict."""
    stage.provider.script = held = Held("a")
    first = stage.ask("c-1")
    with pytest.raises(Conflict):
        stage.ask("c-2", conversation=first.conversation)
    with pytest.raises(Conflict):
        stage.services.text_turns.again(stage.user, AgainRequest("c-3", first.message))
    held.go_on.set()
    stage.finish(first)


def test_a_stop_keeps_the_same_partial_text_everywhere(stage: Stage) -> None:
    """Log, database and acknowledgement agree; the vendor is hung up on; a second stop says the same."""
    stage.provider.script = held = Held("half ", "an answer")
    following = stage.ask("c-1")
    assert held.waiting.wait(5)
    stops = [gevent.spawn(stage.services.turns.stop, stage.user, turn_id=following.log.turn_id) for _ in range(3)]
    gevent.joinall(stops, raise_error=True)
    log = stage.finish(following)
    assert {(s.value.status, s.value.offset, s.value.length) for s in stops} == {("stopped", log.offset, 14)}
    assert log.answer() == "half an answer"
    stored = stage.services.conversations.messages(stage.user.user_id, following.conversation).items[1]
    assert (stored.text, stored.status) == ("half an answer", "stopped")
    assert stage.tokens() < GRANT


def test_a_stop_by_client_id_reaches_a_start_under_way(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before the start is acknowledged: the vendor is never called, nothing is charged."""
    opening, go_on = Event(), Event()
    begin = TextTurns._begin

    def slow(self: TextTurns, *arguments: Any) -> Any:
        opening.set()
        go_on.wait(5)
        return begin(self, *arguments)

    monkeypatch.setattr(TextTurns, "_begin", slow)
    start = gevent.spawn(stage.ask, "c-1")
    assert opening.wait(5)
    stop = gevent.spawn(stage.services.turns.stop, stage.user, client_id="c-1")
    gevent.sleep(0)
    go_on.set()
    assert stop.get(timeout=5).status == "stopped"
    stage.finish(start.get(timeout=5))
    assert stage.provider.requests == []
    assert stage.tokens() == GRANT


def test_a_stop_of_nothing_is_not_found(stage: Stage) -> None:
    """An unknown turn, an unknown client id and another user's turn look the same."""
    following = stage.ask("c-1")
    stage.finish(following)
    stranger = stage.services.accounts.create_guest().identity
    with pytest.raises(NotFound):
        stage.services.turns.stop(stage.user, turn_id="t_none")
    with pytest.raises(NotFound):
        stage.services.turns.stop(stage.user, client_id="none")
    with pytest.raises(NotFound):
        stage.services.turns.stop(stranger, turn_id=following.log.turn_id)
    with pytest.raises(NotFound):
        stage.services.turns.attach(stranger, following.log.turn_id, Position(1, 0))
    with pytest.raises(NotFound):
        stage.services.text_turns.again(stranger, AgainRequest("c-9", following.message))


@pytest.mark.parametrize("error", [VendorRefused("No."), VendorOverloaded("Busy.")])
def test_a_failure_before_the_first_piece_costs_nothing(stage: Stage, error: ChatError) -> None:
    """The turn ends `failed` with our code; the reservation goes back whole."""

    def script(request: ChatRequest) -> Iterator[Any]:
        raise error

    stage.provider.script = script
    ended = stage.finish(stage.ask("c-1")).ended
    assert ended is not None
    assert (ended.status, ended.charged, stage.tokens()) == ("failed", 0, GRANT)
    assert ended.error is not None
    assert ended.error["code"] == error.code


def test_a_failure_midway_is_charged_for_what_was_shown(stage: Stage) -> None:
    """The partial answer is kept, marked and paid by our count."""

    def script(request: ChatRequest) -> Iterator[Any]:
        yield TextDelta("partial")
        raise VendorOverloaded("It broke off.")

    stage.provider.script = script
    following = stage.ask("c-1")
    ended = stage.finish(following).ended
    assert ended is not None
    assert (ended.status, ended.reason, ended.usage.estimated) == ("failed", "vendor", True)
    assert 0 < ended.charged == GRANT - stage.tokens()
    stored = stage.services.conversations.messages(stage.user.user_id, following.conversation).items[1]
    assert (stored.text, stored.status, stored.reason) == ("partial", "failed", "vendor")
    assert stored.to_wire()["error"]["code"] == "vendor_overloaded"


def test_an_absurd_usage_never_takes_more_than_there_is(stage: Stage) -> None:
    """The balance ends at zero, not below, and the books say what was short."""
    stage.provider.script = words("x", usage=Usage(10, 5_000_000))
    ended = stage.finish(stage.ask("c-1")).ended
    assert ended is not None
    assert (ended.charged, stage.tokens()) == (GRANT, 0)
    with pytest.raises(QuotaExceeded):
        stage.ask("c-2")


@pytest.fixture
def poor(database_url: str, tmp_path: Path) -> Iterator[Stage]:
    """An account with tokens for three answers of 100."""
    stage = Stage(database_url, tmp_path / "data", INITIAL_TOKENS="400")
    yield stage
    stage.audit()
    stage.services.close()


def test_twenty_at_once_with_tokens_for_three(poor: Stage) -> None:
    """Exactly what is covered is sold; what is charged equals it; the balance never goes below zero."""
    sold: list[int] = []

    def script(request: ChatRequest) -> Iterator[Any]:
        assert request.max_tokens is not None
        count = min(100, request.max_tokens)
        sold.append(20 + count)
        for _ in range(count):
            yield TextDelta("的")
            gevent.sleep(0)
        yield Stop("stop" if count == 100 else "length", Usage(20, count))

    poor.provider.script = script

    def ask(number: int) -> Any:
        try:
            return poor.finish(poor.ask(f"c-{number}", max_tokens=100))
        except QuotaExceeded as error:
            return error

    jobs = [gevent.spawn(ask, number) for number in range(20)]
    gevent.joinall(jobs, raise_error=True)
    logs = [job.value for job in jobs if not isinstance(job.value, QuotaExceeded)]
    assert 3 <= len(logs) < 20
    assert sum(log.ended.charged for log in logs) == sum(sold) == 400 - poor.tokens()
    assert poor.tokens() >= 0


def test_an_answer_the_account_cannot_cover_is_cut_and_says_so(poor: Stage) -> None:
    """The vendor is told what is left; one that heeds it ends with `quota`, one that does not is hung up on."""

    def heeding(request: ChatRequest) -> Iterator[Any]:
        yield TextDelta("x")
        yield Stop("length", Usage(20, request.max_tokens or 0))

    poor.provider.script = heeding
    ended = poor.finish(poor.ask("c-1", max_tokens=1000)).ended
    assert ended is not None
    assert (ended.status, ended.reason) == ("done", "quota")

    def heedless(request: ChatRequest) -> Iterator[Any]:
        while True:
            yield TextDelta("字")

    poor.provider.script, poor.provider.hung_up = heedless, 0
    with poor.services.uow() as session:
        poor.services.ledger.grant(
            session, user_id=poor.user.user_id, kind="tokens", amount=200, now_ms=0, note="test"
        )
    ended = poor.finish(poor.ask("c-2")).ended
    assert ended is not None
    assert (ended.status, ended.reason, poor.provider.hung_up) == ("stopped", "quota", 1)
    assert poor.tokens() == 0 or ended.charged <= 200


def test_a_restart_ends_what_ran_as_interrupted_once(stage: Stage) -> None:
    """Text up to the last save is kept and charged; a client with more is told to replace it, under a new epoch."""
    stage.provider.script = held = Held("saved ", "text")
    following = stage.ask("c-1")
    turn = following.log.turn_id
    assert held.waiting.wait(5)
    stage.services.turns._checkpoints.save()
    offset = following.log.offset
    stage.restart(kill=True)
    back = stage.services.turns.attach(stage.user, turn, Position(1, offset + 5))
    assert (back.status, back.text, back.log.epoch) == ("interrupted", "saved text", 2)
    ended = back.log.ended
    assert ended is not None
    assert ended.error is not None
    assert (ended.reason, ended.length, ended.error["code"]) == ("shutdown", 10, "interrupted")
    assert [span.kind for span in back.log.read(back.kept)] == ["end"]
    assert stage.tokens() == GRANT - ended.charged < GRANT
    stage.restart()
    again = stage.services.turns.attach(stage.user, turn, Position(1, 0))
    assert (again.log.ended, stage.tokens()) == (ended, GRANT - ended.charged)
    with stage.services.uow.read() as session:
        assert session.scalar(select(func.count()).select_from(TurnCheckpoint)) == 0
        assert session.scalar(select(func.count()).select_from(Turn).where(Turn.status == "running")) == 0


def test_a_finished_turn_survives_its_log(stage: Stage) -> None:
    """When the log is gone the database answers: the text whole, then the ending as an entry."""
    stage.provider.script = words("all ", "of it", usage=Usage(3, 2))
    log = stage.finish(following := stage.ask("c-1"))
    stage.restart()
    back = stage.services.turns.attach(stage.user, log.turn_id, Position(1, 2))
    assert (back.status, back.text, back.kept) == ("done", "all of it", log.offset - 1)
    (span,) = back.log.read(back.kept)
    assert (span.offset, span.event) == (log.offset, log.ended)
    assert stage.services.turns.attach(stage.user, log.turn_id, Position(1, log.offset)).text is None
    assert stage.ask("c-1").message == following.message


def test_checkpoints_follow_a_restarted_answer(stage: Stage) -> None:
    """Reasoning that was voided by a new epoch is not kept by a save before it."""
    ready, go_on = Event(), Event()

    def script(request: ChatRequest) -> Iterator[Any]:
        if len(stage.provider.requests) == 1:
            yield ReasoningDelta("wrong")
            ready.set()
            go_on.wait(5)
            raise VendorOverloaded("It broke.", retry_after_s=0.001)
        yield ReasoningDelta("right")
        yield TextDelta("answer")
        ready.set()
        Event().wait(30)

    stage.provider.script = script
    following = stage.ask("c-1")
    assert ready.wait(5)
    stage.services.turns._checkpoints.save()
    ready.clear()
    go_on.set()
    assert ready.wait(5)
    stage.services.turns._checkpoints.save()
    stage.restart(kill=True)
    stored = stage.services.conversations.messages(stage.user.user_id, following.conversation).items[1]
    assert (stored.reasoning, stored.text, stored.status) == ("right", "answer", "interrupted")


def test_draining_ends_what_is_left_and_refuses_what_is_new(stage: Stage) -> None:
    """After the grace the partial answers end as interrupted; new turns are told to come back."""
    stage.provider.script = held = Held("so far")
    following = stage.ask("c-1")
    assert held.waiting.wait(5)
    stage.services.turns.drain(0.01)
    ended = stage.finish(following).ended
    assert ended is not None
    assert (ended.status, ended.reason) == ("interrupted", "shutdown")
    with pytest.raises(ServerBusy):
        stage.ask("c-2")


def test_one_user_can_run_so_many_at_once(database_url: str, tmp_path: Path) -> None:
    """Beyond the limit a turn is refused with a code, and a place is free again when one ends."""
    stage = Stage(database_url, tmp_path / "data", MAX_RUNNING_TURNS="2")
    stage.provider.script = held = Held("x")
    running = [stage.ask("c-1"), stage.ask("c-2")]
    with pytest.raises(RateLimited):
        stage.ask("c-3")
    assert len(stage.services.turns.running(stage.user)) == 2
    held.go_on.set()
    for following in running:
        stage.finish(following)
    stage.finish(stage.ask("c-3"))
    stage.services.close()
