"""One turn's way through retries, fallbacks and continuations."""

from __future__ import annotations

import gevent
import gevent.event
import pytest

from services.errors import (
    ContentBlocked,
    ModelUnavailable,
    VendorError,
    VendorOverloaded,
    VendorRefused,
    VendorTimeout,
)
from services.events import ReasoningDelta, Restarted, StateChanged, Stop, TextDelta, Usage
from services.providers.base import ChatRequest
from services.providers.breaker import Breaker
from services.providers.route import Link, Piece, Route
from services.wire.retry import Backoff
from tests.clocks import FakeClock
from tests.services.providers.scripted import REQUEST, ScriptedProvider, Step

BUSY = VendorOverloaded("busy")
DONE = Stop("stop", Usage(3, 2))


class CountingClock:
    """A watchdog that only counts how often it was restarted."""

    def __init__(self) -> None:
        self.restarts = 0

    def restart(self) -> None:
        self.restarts += 1


class Trip:
    """A route over scripted providers, with the waits it took."""

    def __init__(self, *providers: ScriptedProvider) -> None:
        self.slept: list[float] = []
        self.clock = CountingClock()
        self.breakers = [Breaker(clock=FakeClock()) for _ in providers]
        links = tuple(Link(p.card, p, b) for p, b in zip(providers, self.breakers, strict=True))
        self.route = Route(links, backoff=Backoff(random=lambda: 0.0), sleep=self.slept.append)

    def run(self, request: ChatRequest = REQUEST) -> list[Piece]:
        return list(self.route.stream(request, self.clock))

    def fail(self, request: ChatRequest = REQUEST) -> tuple[list[Piece], VendorError]:
        seen: list[Piece] = []
        with pytest.raises(VendorError) as caught:
            seen.extend(self.route.stream(request, self.clock))
        return seen, caught.value


def test_a_provider_that_is_busy_at_first_is_asked_twice_again() -> None:
    """Two failures before the first piece stay unseen; the clock restarts for every attempt and wait."""
    provider = ScriptedProvider("a", [BUSY], [BUSY], [TextDelta("hi"), DONE])
    trip = Trip(provider)

    assert trip.run() == [TextDelta("hi"), DONE]
    assert trip.slept == [0.4, 0.8]
    assert trip.clock.restarts == 5
    assert {request.model for request in provider.asked} == {"vendor-a"}


def test_the_next_member_answers_when_the_first_does_not() -> None:
    """After the third failure the chain goes on, and says so."""
    first, second = ScriptedProvider("a", [BUSY], [BUSY], [BUSY]), ScriptedProvider("b", [TextDelta("hi"), DONE])
    assert Trip(first, second).run() == [StateChanged("switching"), TextDelta("hi"), DONE]
    assert second.asked[0].model == "vendor-b"


def test_a_refusal_goes_straight_to_the_next_member() -> None:
    """Asking again would not help; another vendor may have a key that works."""
    trip = Trip(ScriptedProvider("a", [VendorRefused("no")]), ScriptedProvider("b", [TextDelta("hi"), DONE]))
    assert trip.run() == [StateChanged("switching"), TextDelta("hi"), DONE]
    assert trip.slept == []


def test_blocked_content_is_shown_to_no_other_vendor() -> None:
    """A safety refusal ends the route."""
    other = ScriptedProvider("b", [DONE])
    seen, error = Trip(ScriptedProvider("a", [ContentBlocked("no")]), other).fail()
    assert (seen, type(error), other.asked) == ([], ContentBlocked, [])


def test_a_limit_that_ran_out_is_not_waited_for_twice() -> None:
    """A first piece that did not come in time is asked of the next member, and of nobody when there is none."""
    first = ScriptedProvider("a", [VendorTimeout("late")])
    assert Trip(first, ScriptedProvider("b", [TextDelta("hi"), DONE])).run()[0] == StateChanged("switching")

    alone = ScriptedProvider("a", [VendorTimeout("late")])
    assert isinstance(Trip(alone).fail()[1], VendorTimeout)
    assert len(alone.asked) == 1


def test_retry_after_is_kept_to_or_given_up() -> None:
    """A short wait that the vendor asks for is kept; a long one means: not here."""
    patient = Trip(ScriptedProvider("a", [VendorOverloaded("busy", retry_after_s=3)], [TextDelta("hi"), DONE]))
    assert patient.run() == [TextDelta("hi"), DONE]
    assert patient.slept == [3]

    _, error = Trip(ScriptedProvider("a", [VendorOverloaded("busy", retry_after_s=300)])).fail()
    assert error.retry_after_s == 300


def test_an_answer_goes_on_from_its_prefix() -> None:
    """Text is never asked for twice, and what it cost is not told, for the first vendor call never said."""
    provider = ScriptedProvider(
        "a", [TextDelta("one "), TextDelta("two "), BUSY], [TextDelta("three"), DONE], continues=True
    )
    request = ChatRequest(model="", messages=REQUEST.messages, max_tokens=10)

    pieces = Trip(provider).run(request)

    assert pieces == [TextDelta("one "), TextDelta("two "), TextDelta("three"), Stop("stop", None)]
    assert [(asked.prefix, asked.max_tokens) for asked in provider.asked] == [("", 10), ("one two ", 8)]


def test_the_second_continuation_is_by_the_next_member_that_can() -> None:
    """A member that cannot continue is passed over; after two continuations the first error is told."""
    first = ScriptedProvider("a", [TextDelta("1"), BUSY], [TextDelta("2"), VendorTimeout("late")], continues=True)
    second = ScriptedProvider("b")
    third = ScriptedProvider("c", [TextDelta("3"), VendorRefused("no")], continues=True)

    seen, error = Trip(first, second, third).fail()

    assert seen == [TextDelta("1"), TextDelta("2"), StateChanged("switching"), TextDelta("3")]
    assert third.asked[0].prefix == "12"
    assert error is BUSY
    assert second.asked == []


def test_a_vendor_that_asks_for_a_long_wait_midway_is_continued_by_another() -> None:
    """The reader does not wait for minutes when somebody else can go on."""
    first = ScriptedProvider("a", [TextDelta("1"), VendorOverloaded("busy", retry_after_s=300)], continues=True)
    second = ScriptedProvider("b", [TextDelta("2"), DONE], continues=True)
    trip = Trip(first, second)
    assert trip.run() == [TextDelta("1"), StateChanged("switching"), TextDelta("2"), Stop("stop", None)]
    assert trip.slept == []


def test_text_of_a_vendor_that_cannot_continue_is_kept_as_it_is() -> None:
    """Half an answer is never followed by another answer."""
    other = ScriptedProvider("b", [TextDelta("other"), DONE])
    seen, error = Trip(ScriptedProvider("a", [TextDelta("half"), BUSY]), other).fail()
    assert (seen, error, other.asked) == ([TextDelta("half")], BUSY, [])


def test_reasoning_alone_is_voided_before_the_answer_starts_over() -> None:
    """The viewers are told before anything of the new attempt is shown."""
    provider = ScriptedProvider("a", [ReasoningDelta("hm"), BUSY], [ReasoningDelta("ah"), TextDelta("hi"), DONE])
    assert Trip(provider).run() == [ReasoningDelta("hm"), Restarted(), ReasoningDelta("ah"), TextDelta("hi"), DONE]


def test_a_given_prefix_is_only_shown_to_members_that_continue() -> None:
    """A turn taken over goes on from its text, or not at all."""
    request = ChatRequest(model="", messages=REQUEST.messages, prefix="so far, ")
    able = ScriptedProvider("b", [TextDelta("so good"), DONE], continues=True)
    assert Trip(ScriptedProvider("a"), able).run(request) == [TextDelta("so good"), Stop("stop", None)]
    assert able.asked[0].prefix == "so far, "
    with pytest.raises(ModelUnavailable):
        Trip(ScriptedProvider("a")).run(request)


def test_a_stream_without_its_stop_is_broken() -> None:
    """An adapter that ends without a `Stop` has not answered."""
    assert isinstance(Trip(ScriptedProvider("a", [TextDelta("half")])).fail()[1], VendorOverloaded)


def test_a_provider_that_keeps_failing_is_passed_over() -> None:
    """Five failures in a row open the breaker; the next turn goes to the second member without being told so."""
    failures: list[list[Step]] = [[BUSY] for _ in range(6)]
    answers: list[list[Step]] = [[TextDelta("hi"), DONE] for _ in range(3)]
    trip = Trip(ScriptedProvider("a", *failures), ScriptedProvider("b", *answers))
    trip.run()
    trip.run()
    assert trip.breakers[0].is_open
    assert trip.run() == [TextDelta("hi"), DONE]


def test_what_is_thrown_from_outside_ends_everything() -> None:
    """A stop from another greenlet is no vendor's fault: no retry, the provider's stream is closed."""

    class StopError(Exception):
        pass

    entered = gevent.event.Event()

    class Waiting(ScriptedProvider):
        def stream(self, request):
            try:
                yield TextDelta("half")
                entered.set()
                gevent.event.Event().wait(10)
            finally:
                self.closed += 1

    provider = Waiting("a", continues=True)
    greenlet = gevent.spawn(Trip(provider).run)
    assert entered.wait(5)
    greenlet.kill(StopError, block=False)
    with pytest.raises(StopError):
        greenlet.get(timeout=5)
    assert provider.closed == 1


def test_closing_the_stream_hangs_up() -> None:
    """The provider's stream ends with the route's."""
    provider = ScriptedProvider("a", [TextDelta("one"), TextDelta("two"), DONE])
    stream = Trip(provider).route.stream(REQUEST, CountingClock())
    next(stream)
    stream.close()
    assert provider.closed == 1
