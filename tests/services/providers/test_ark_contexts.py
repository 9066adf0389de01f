"""Conversations in Ark's contexts: found again, made anew, done without, and never the wrong one."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import gevent
import pytest

from services.errors import VendorError, VendorOverloaded, VendorTimeout
from services.events import Stop, TextDelta
from services.providers import ark_turns
from services.providers.ark import Ark, ArkSettings
from services.providers.ark_contexts import Context, ContextMemory
from services.providers.base import ChatMessage, ChatRequest
from simulators.ark import ENDPOINT, MODEL, RECALL, ArkSimulator
from simulators.faults import Fault
from simulators.openai import KEY, answer_to
from tests.clocks import FakeClock

PLAIN, MADE, IN_CONTEXT = "/chat/completions", "/context/create", "/context/chat/completions"
History = tuple[ChatMessage, ...]


@dataclass
class Conversations:
    """A provider that keeps contexts, with the vendor behind it; both have clocks of their own."""

    ark: Ark
    vendor: ArkSimulator
    ours: FakeClock
    theirs: FakeClock

    def stream(self, history: History, text: str, *, model: str = ENDPOINT, user: str = "u", prefix: str = "") -> Any:
        return self.ark.stream(ChatRequest(model, (*history, ChatMessage("user", text)), user=user, prefix=prefix))

    def ask(self, history: History, text: str, **more: Any) -> History:
        """The history after a turn that went well."""
        *pieces, stop = self.stream(history, text, **more)
        assert isinstance(stop, Stop)
        return self.after(history, text, pieces)

    def after(self, history: History, text: str, pieces: list[Any]) -> History:
        answer = "".join(piece.text for piece in pieces if isinstance(piece, TextDelta))
        return (*history, ChatMessage("user", text), ChatMessage("assistant", answer))

    def asked(self) -> list[str]:
        """What the vendor was asked since the last look."""
        paths = [call.request.path.removeprefix("/api/v3") for call in self.vendor.calls]
        self.vendor.calls.clear()
        return paths

    def going_on(self, *texts: str) -> History:
        """A conversation of some turns, the last of them in a context."""
        history: History = (ChatMessage("system", "Be brief."),)
        for text in texts:
            history = self.ask(history, text)
        self.asked()
        return history


@pytest.fixture
def talk(monkeypatch: pytest.MonkeyPatch) -> Iterator[Conversations]:
    monkeypatch.setattr(ark_turns, "BUSY_WAIT_S", 0.0)
    ours, theirs = FakeClock(), FakeClock()
    with ArkSimulator(clock=theirs.monotonic) as vendor:
        ark = Ark(ArkSettings(api_key=KEY, base_url=vendor.base_url, context=True), ours)
        yield Conversations(ark, vendor, ours, theirs)
        ark.close()


def recalled(history: History) -> str:
    """What a model that knows exactly this history recalls."""
    return "".join(f"{message.text}; " for message in history if message.role == "user")


def test_a_conversation_that_goes_on_moves_into_a_context(talk: Conversations) -> None:
    """The first turn is plain, the second makes the context, the later ones send their question only."""
    history: History = (ChatMessage("system", "Be brief."),)
    asked = []
    for text in ("one", "two", "three", RECALL):
        history = talk.ask(history, text)
        asked.append(talk.asked())
    assert asked == [[PLAIN], [MADE, IN_CONTEXT], [IN_CONTEXT], [IN_CONTEXT]]
    assert history[-1].text == "one; two; three; "
    (context,) = talk.vendor.contexts.values()
    assert [(message["role"], message["content"]) for message in context.messages] == [
        (message.role, message.text) for message in history
    ]


def test_settings_of_a_turn_travel_into_its_context(talk: Conversations) -> None:
    """Its limit and temperature, the endpoint, one message; what was sold is counted with what was remembered."""
    history = talk.going_on("one", "two")
    question = ChatMessage("user", "three")
    request = ChatRequest(ENDPOINT, (*history, question), temperature=0.5, max_tokens=4, user="u")
    *pieces, stop = talk.ark.stream(request)
    assert isinstance(stop, Stop) and stop.reason == "length" and stop.usage is not None
    (call,) = talk.vendor.calls
    assert call.json == {
        "model": ENDPOINT,
        "context_id": next(iter(talk.vendor.contexts)),
        "messages": [{"role": "user", "content": "three"}],
        "stream": True,
        "stream_options": {"include_usage": True},
        "temperature": 0.5,
        "max_tokens": 4,
    }
    assert (stop.usage.prompt_tokens, stop.usage.completion_tokens) == (call.prompt_tokens, len(pieces))


@pytest.mark.parametrize("settings", [{"context": False}, {}])
def test_nothing_is_kept_at_the_vendors_unless_it_is_switched_on(talk: Conversations, settings: dict[str, Any]) -> None:
    """Every turn sends all of its messages."""
    talk.ark = Ark(ArkSettings(api_key=KEY, base_url=talk.vendor.base_url, **settings))
    history = talk.ask(talk.ask((), "one"), "two")
    assert talk.asked() == [PLAIN, PLAIN]
    assert talk.ask(history, RECALL)[-1].text == "one; two; "


def test_models_and_pictures_go_without_contexts(talk: Conversations) -> None:
    """Contexts are for endpoints; what they do with pictures is not known."""
    history = talk.ask(talk.ask((), "one", model=MODEL), "two", model=MODEL)
    talk.ask(history, "three", model=MODEL)
    assert talk.asked() == [PLAIN] * 3
    history = talk.going_on("one")
    picture = ChatMessage("user", "see", pictures=("data:image/png;base64,iVBORw0KGgo=",))
    list(talk.ark.stream(ChatRequest(ENDPOINT, (*history, picture), user="u")))
    assert talk.asked() == [PLAIN]


# Branches


def test_a_branch_never_meets_the_other_branchs_context(talk: Conversations) -> None:
    """Another answer to a question, an edited question, a history cut short: each recalls its own words."""
    begun = talk.going_on("one", "two")
    longer = talk.ask(begun, "three")
    assert talk.ask(begun, f"other {RECALL}")[-1].text == "one; two; "
    assert talk.ask(begun[:3], f"edited {RECALL}")[-1].text == "one; "
    assert talk.ask((begun[0], *begun[3:]), RECALL)[-1].text == "two; "
    talk.asked()
    assert talk.ask(longer, RECALL)[-1].text == "one; two; three; "
    assert talk.asked() == [IN_CONTEXT]


def test_people_with_the_same_words_have_contexts_of_their_own(talk: Conversations) -> None:
    """Equal histories of two users are two."""
    history = talk.going_on("one", "two")
    talk.ask(history, "three", user="other")
    assert talk.asked() == [PLAIN]
    talk.ask(history, "three")
    assert talk.asked() == [IN_CONTEXT]


def test_two_turns_at_once_share_no_context(talk: Conversations) -> None:
    """The first has it; the second is asked plainly. Both answers are exact, and both branches go on."""
    history = talk.going_on("one", "two")
    talk.vendor.play(Fault(pieces=8, rate=400), Fault(pieces=8, rate=400))
    turns = [gevent.spawn(talk.ask, history, text) for text in ("left", "right")]
    left, right = (turn.get(timeout=10) for turn in turns)
    assert sorted(talk.asked()) == [PLAIN, IN_CONTEXT]
    assert [branch[-1].text for branch in (left, right)] == [
        "".join(answer_to(text, 8)) for text in ("left", "right")
    ]
    assert talk.ask(left, RECALL)[-1].text == "one; two; left; "
    assert talk.ask(right, RECALL)[-1].text == "one; two; right; "
    assert talk.asked() == [IN_CONTEXT, MADE, IN_CONTEXT]


# Expired, busy, refused


def test_an_expired_context_is_made_anew_from_our_messages(talk: Conversations) -> None:
    """When the vendor says so, once and at once; when our own clock says so without asking in vain."""
    history = talk.going_on("one", "two")
    talk.theirs.advance(3_600)
    history = talk.ask(history, RECALL)
    assert history[-1].text == "one; two; "
    assert talk.asked() == [IN_CONTEXT, MADE, IN_CONTEXT]
    talk.ours.advance(3_600)
    history = talk.ask(history, RECALL)
    assert history[-1].text == recalled(history[:-2])
    assert talk.asked() == [MADE, IN_CONTEXT]


def test_each_use_begins_a_contexts_life_anew(talk: Conversations) -> None:
    """A conversation that goes on every half hour keeps its context for hours."""
    history = talk.going_on("one", "two")
    for _ in range(4):
        talk.ours.advance(1_800)
        talk.theirs.advance(1_800)
        history = talk.ask(history, "more")
    assert talk.asked() == [IN_CONTEXT] * 4


def test_a_busy_context_is_waited_for_and_then_replaced(talk: Conversations) -> None:
    """Three tries more, then a new one; nothing was recorded twice."""
    history = talk.going_on("one", "two")
    next(iter(talk.vendor.contexts.values())).is_busy = True
    assert talk.ask(history, RECALL)[-1].text == "one; two; "
    assert talk.asked() == [IN_CONTEXT] * 4 + [MADE, IN_CONTEXT]


def test_a_vendor_that_makes_no_context_is_asked_plainly(
    talk: Conversations, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Busy: this time. Refusing: for a while, for its endpoint may have none. Silent: after a limit."""
    history = talk.going_on("one")
    talk.vendor.creating += [Fault(status=429, code="ServerOverloaded"), Fault(status=400, code="InvalidParameter")]
    history = talk.ask(history, "two")
    history = talk.ask(history, "three")
    history = talk.ask(history, "four")
    assert talk.asked() == [MADE, PLAIN, MADE, PLAIN, PLAIN]
    talk.ours.advance(ark_turns.UNABLE_S)
    monkeypatch.setattr(ark_turns, "CREATE_S", 0.05)
    talk.vendor.creating.append(Fault(silent=True))
    history = talk.ask(history, "five")
    assert talk.vendor.calls[0].hung_up.wait(1)
    assert talk.asked() == [MADE, PLAIN]
    assert talk.ask(history, RECALL)[-1].text == "one; two; three; four; five; "
    assert talk.asked() == [MADE, IN_CONTEXT]


def test_a_context_that_refuses_the_turn_gives_way_to_the_plain_call(talk: Conversations) -> None:
    """Not twice, and the next turn tries again."""
    history = talk.going_on("one", "two")
    talk.vendor.play(Fault(status=400, code="InvalidParameter.max_tokens"))
    assert talk.ask(history, RECALL)[-1].text == "one; two; "
    assert talk.asked() == [IN_CONTEXT, PLAIN]


def test_a_context_that_is_lost_again_is_made_once_only(talk: Conversations) -> None:
    """A vendor that keeps none is asked plainly."""
    history = talk.going_on("one", "two")
    talk.vendor.play(*[Fault(status=404, code="NotFound.context")] * 2)
    assert talk.ask(history, RECALL)[-1].text == "one; two; "
    assert talk.asked() == [IN_CONTEXT, MADE, IN_CONTEXT, PLAIN]


# Interrupted


def test_nothing_is_asked_again_once_text_has_come(talk: Conversations) -> None:
    """A refusal inside the stream ends the turn; it is no reason to begin anew behind the text."""
    history = talk.going_on("one", "two")
    talk.vendor.play(Fault(error_after=3, code="InvalidParameter"))
    shown: list[Any] = []
    with pytest.raises(VendorError):
        shown.extend(talk.stream(history, "three"))
    assert "".join(piece.text for piece in shown) == "".join(answer_to("three")[:3])
    assert talk.asked() == [IN_CONTEXT]


@pytest.mark.parametrize("count", [1, 5])
def test_a_stopped_turn_hangs_up_and_gives_its_context_up(talk: Conversations, count: int) -> None:
    """The next turn goes on from what was shown, whatever the vendor has recorded."""
    history = talk.going_on("one", "two")
    talk.vendor.play(Fault(rate=200, pieces=1_000))
    with closing(talk.stream(history, "three")) as stream:
        shown = [next(stream) for _ in range(count)]
    (call,) = talk.vendor.calls
    assert call.hung_up.wait(1)
    assert call.ended.wait(5)
    assert call.sold <= 50
    talk.asked()
    history = talk.ask(talk.after(history, "three", shown), RECALL)
    assert history[-1].text == "one; two; three; "
    assert talk.asked() == [MADE, IN_CONTEXT]
    kept = list(talk.vendor.contexts.values())[-1].messages
    assert kept[-3]["content"] == "".join(piece.text for piece in shown)


@pytest.mark.parametrize(
    "fault", [Fault(reset_after=3), Fault(end_after=3), Fault(cut_after=3), Fault(error_after=3), Fault(no_done=True)]
)
def test_a_turn_that_did_not_end_properly_gives_its_context_up(talk: Conversations, fault: Fault) -> None:
    """Broken, or ended without the vendor's last word: the next one is rebuilt from what was shown."""
    history = talk.going_on("one", "two")
    talk.vendor.play(fault)
    shown: list[Any] = []
    try:
        shown.extend(talk.stream(history, "three"))
    except VendorOverloaded:
        assert not fault.no_done
    talk.asked()
    assert talk.ask(talk.after(history, "three", shown), RECALL)[-1].text == "one; two; three; "
    assert talk.asked() == [MADE, IN_CONTEXT]


@pytest.mark.parametrize("fault", [Fault(status=500), Fault(reset_after=0), Fault(status=429, code="ServerOverloaded")])
def test_a_turn_that_is_asked_again_is_recorded_once(talk: Conversations, fault: Fault) -> None:
    """It may have reached the context: the second try has a new one."""
    history = talk.going_on("one", "two")
    talk.vendor.play(fault)
    with pytest.raises(VendorOverloaded):
        talk.ask(history, "three")
    history = talk.ask(history, "three")
    assert talk.asked() == [IN_CONTEXT, MADE, IN_CONTEXT]
    assert talk.ask(history, RECALL)[-1].text == "one; two; three; "


def test_a_continued_answer_is_whole_in_the_next_turns_history(talk: Conversations) -> None:
    """It is continued plainly, for a context takes no answer as its last message."""
    history = talk.going_on("one", "two")
    begun = answer_to("three")[:4]
    *pieces, _ = talk.stream(history, "three", prefix="".join(begun))
    assert talk.asked() == [PLAIN]
    whole = talk.after(history, "three", [*map(TextDelta, begun), *pieces])
    assert whole[-1].text == "".join(answer_to("three"))
    assert talk.ask(whole, RECALL)[-1].text == "one; two; three; "
    assert talk.asked() == [MADE, IN_CONTEXT]


def test_a_limit_thrown_while_a_context_is_made_is_the_turns(talk: Conversations) -> None:
    """It is not taken for the vendor's answer, and the connection is closed."""
    history = talk.going_on("one")
    talk.vendor.creating.append(Fault(silent=True))
    turn = gevent.spawn(talk.ask, history, "two")
    call = talk.vendor.wait_for_call()
    turn.kill(VendorTimeout("late"), block=False)
    with pytest.raises(VendorTimeout):
        turn.get(timeout=5)
    assert call.hung_up.wait(1)
    assert talk.asked() == [MADE]


def test_whatever_happens_a_model_recalls_exactly_the_history_it_was_sent(talk: Conversations) -> None:
    """A long walk through a growing tree of conversations, with faults, stops, lost contexts and time."""
    chance = random.Random(7)
    began: History = (ChatMessage("user", "q"), ChatMessage("assistant", "a"))
    tree: list[History] = [began, (ChatMessage("system", "Be brief."), *began)]
    faults = [Fault(status=500), Fault(reset_after=1), Fault(end_after=2), Fault(no_done=True), Fault(twice=True)]
    whole = in_context = 0
    for step in range(400):
        history = chance.choice(tree[-3:] if chance.random() < 0.7 else tree)
        text = f"q{step} {RECALL}"
        if (luck := chance.random()) < 0.15:
            talk.vendor.play(chance.choice(faults))
        elif luck < 0.2:
            talk.vendor.creating.append(Fault(status=429, code="ServerOverloaded"))
        elif luck < 0.25:
            chance.choice((talk.ours, talk.theirs)).advance(chance.choice((1_000, 4_000)))
        elif luck < 0.3 and talk.vendor.contexts:
            del talk.vendor.contexts[chance.choice(list(talk.vendor.contexts))]
        most = chance.randrange(1, 4) if chance.random() < 0.15 else 1_000
        shown: list[Any] = []
        try:
            with closing(talk.stream(history, text)) as stream:
                for piece in stream:
                    shown.append(piece)
                    if len(shown) == most:
                        break
        except VendorError:
            pass
        after = talk.after(history, text, shown)
        if shown and isinstance(shown[-1], Stop):
            assert after[-1].text == recalled(history)
            whole += 1
            in_context += talk.vendor.calls[-1].request.path.endswith(IN_CONTEXT)
        if after[-1].text:
            tree.append(after)
        talk.vendor._script.clear()
    assert whole > 200
    assert in_context > 50


# The memory


def test_the_memory_has_a_bound_and_forgets_what_was_longest_unused() -> None:
    """Taking takes out; of two contexts for one history the first stays; time ends them."""
    clock = FakeClock()
    memory = ContextMemory(clock, size=2)
    first, second = Context("1", clock.monotonic() + 10), Context("2", clock.monotonic() + 10)
    memory.keep(b"a", first)
    memory.keep(b"a", second)
    assert memory.take(b"a") == first
    assert not memory.expects(b"a")
    assert memory.take(b"a") is None
    memory.keep(b"a", None)
    memory.keep(b"b", first)
    memory.keep(b"a", second)
    memory.keep(b"c", None)
    assert (len(memory), memory.expects(b"b")) == (2, False)
    clock.advance(10)
    assert memory.expects(b"a")
    assert memory.take(b"a") is None
