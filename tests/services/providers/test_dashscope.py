"""What DashScope's own protocol adds: wholes, thoughts, pictures, continuations, applications."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from itertools import islice
from typing import Any

import pytest

import config
from services.errors import ContentBlocked, VendorOverloaded, VendorRefused
from services.events import ReasoningDelta, Stop, TextDelta, Usage
from services.providers.base import ChatMessage, ChatRequest
from services.providers.dashscope import APPLICATION, SPEC, DashScope
from services.providers.dashscope_application import SESSION_S, SESSION_TURNS, Sessions
from simulators.dashscope import APP_ID, WORKSPACE, DashScopeSimulator
from simulators.faults import Fault
from simulators.openai import KEY, answer_to
from tests.clocks import FakeClock

PICTURE = "data:image/png;base64," + base64.b64encode(b"\x89PNG\r\n\x1a\n" + bytes(32)).decode()
HELLO = (ChatMessage("user", "Say 床前明月光"),)


@pytest.fixture
def simulator() -> Iterator[DashScopeSimulator]:
    with DashScopeSimulator() as simulator:
        yield simulator


def provider_at(base_url: str, **env: str) -> DashScope:
    found = {"DASHSCOPE_API_KEY": KEY, "DASHSCOPE_BASE_URL": base_url, **env}
    provider = SPEC.build(config.read(SPEC.settings, found, prefix=SPEC.prefix))
    assert isinstance(provider, DashScope)
    return provider


@pytest.fixture
def provider(simulator: DashScopeSimulator) -> Iterator[DashScope]:
    provider = provider_at(simulator.base_url, APP_ID=APP_ID)
    yield provider
    provider.close()


def text_of(pieces: list[Any]) -> str:
    return "".join(piece.text for piece in pieces if isinstance(piece, TextDelta))


def said_to(prompt: str) -> str:
    return "".join(answer_to(prompt))


# Text


def test_a_request_has_the_vendors_shape(provider: DashScope, simulator: DashScopeSimulator) -> None:
    """The stream is asked for by a header, new text by a parameter; neighbours of one role are joined."""
    messages = (
        ChatMessage("system", "Be brief."),
        ChatMessage("user", "failed"),
        ChatMessage("user", "hi"),
    )
    list(provider.stream(ChatRequest("qwen-plus", messages, temperature=0.5, top_p=0.9, max_tokens=50)))
    (call,) = simulator.calls
    assert call.request.path == "/api/v1/services/aigc/text-generation/generation"
    assert call.request.headers["x-dashscope-sse"] == "enable"
    assert "x-dashscope-workspace" not in call.request.headers
    assert call.json["input"] == {
        "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "failed\n\nhi"}]
    }
    assert call.json["parameters"] == {
        "incremental_output": True,
        "result_format": "message",
        "temperature": 0.5,
        "top_p": 0.9,
        "max_tokens": 50,
    }


@pytest.mark.parametrize("prompt", ["Say 床前明月光", "哈哈哈哈哈哈，好笑", "ha ha ha ha", "1 10 100"])
@pytest.mark.parametrize("split", [0, 3])
def test_a_vendor_that_repeats_the_whole_gives_the_same_answer(
    provider: DashScope, simulator: DashScopeSimulator, prompt: str, split: int
) -> None:
    """Text and count are those of the increments that were asked for."""
    request = ChatRequest("qwen-plus", (ChatMessage("user", prompt),))
    plain = list(provider.stream(request))
    simulator.play(Fault(cumulative=True, split=split))
    repeated = list(provider.stream(request))
    assert text_of(plain) == text_of(repeated) == said_to(prompt)
    assert plain[-1] == repeated[-1]


@pytest.mark.parametrize("fault", [Fault(), Fault(cumulative=True)], ids=["new", "whole"])
def test_thoughts_come_apart_from_the_answer(provider: DashScope, simulator: DashScopeSimulator, fault: Fault) -> None:
    """First, and counted with it; what thinks only is not continued."""
    assert provider.adopt("qwq-plus")
    (card,) = (card for card in provider.models() if card.id == "qwq-plus")
    assert (card.reasoning, card.continues) == (True, False)
    simulator.play(fault)
    pieces = list(provider.stream(ChatRequest("qwq-plus", HELLO)))
    assert (
        "".join(piece.text for piece in pieces if isinstance(piece, ReasoningDelta)) == "First I 想一想, then I answer."
    )
    assert text_of(pieces) == said_to(HELLO[0].text)
    kinds = [type(piece) for piece in pieces[:-1]]
    assert kinds == sorted(kinds, key=lambda kind: kind is TextDelta)
    assert pieces[-1] == Stop("stop", Usage(simulator.calls[0].prompt_tokens, simulator.calls[0].sold))


def test_a_model_that_sees_is_asked_at_its_own_address(provider: DashScope, simulator: DashScopeSimulator) -> None:
    """Content is a list of parts both ways, pictures first; an answer is continued in the same shape."""
    messages = (ChatMessage("system", "Look."), ChatMessage("user", "What is this?", pictures=(PICTURE,)))
    whole = list(provider.stream(ChatRequest("qwen-vl-plus", messages)))
    call = simulator.calls[0]
    assert call.request.path == "/api/v1/services/aigc/multimodal-generation/generation"
    assert call.json["input"]["messages"] == [
        {"role": "system", "content": [{"text": "Look."}]},
        {"role": "user", "content": [{"image": PICTURE}, {"text": "What is this?"}]},
    ]
    assert text_of(whole) == said_to("What is this?")
    prefix = text_of(whole[:5])
    rest = list(provider.stream(ChatRequest("qwen-vl-plus", messages, prefix=prefix)))
    assert prefix + text_of(rest) == text_of(whole)


def test_a_picture_that_is_none_is_refused_in_our_words(provider: DashScope) -> None:
    """As is a picture for a model that sees none."""
    rubbish = ChatMessage("user", "?", pictures=("data:image/png;base64,AAAA",))
    with pytest.raises(VendorRefused, match="could not read a picture"):
        list(provider.stream(ChatRequest("qwen-vl-plus", (rubbish,))))
    with pytest.raises(VendorRefused):
        list(provider.stream(ChatRequest("qwen-plus", (ChatMessage("user", "?", pictures=(PICTURE,)),))))


def test_the_review_of_an_answer_keeps_what_was_shown(provider: DashScope, simulator: DashScopeSimulator) -> None:
    """With its count, which every frame has; of a question it is a refusal."""
    simulator.play(Fault(error_after=4, code="DataInspectionFailed"))
    pieces = list(provider.stream(ChatRequest("qwen-plus", HELLO)))
    assert text_of(pieces) == "".join(answer_to(HELLO[0].text)[:4])
    assert pieces[-1] == Stop("content_filter", Usage(simulator.calls[0].prompt_tokens, 4))
    simulator.play(Fault(error_after=0, code="DataInspectionFailed"))
    with pytest.raises(ContentBlocked):
        list(provider.stream(ChatRequest("qwen-plus", HELLO)))


def test_a_connection_serves_the_next_call(provider: DashScope, simulator: DashScopeSimulator) -> None:
    """The end of the body is read behind the finish reason."""
    served: list[int] = []
    serve = simulator._serve

    def count(sock: Any, address: object) -> None:
        served.append(1)
        serve(sock, address)

    simulator._server.set_handle(count)
    for _ in range(3):
        list(provider.stream(ChatRequest("qwen-plus", HELLO)))
    assert len(simulator.calls) == 3
    assert len(served) == 1


# Addresses


@pytest.mark.parametrize(
    ("given", "path"),
    [
        ("", "/api/v1/services/aigc/text-generation/generation"),
        ("/", "/api/v1/services/aigc/text-generation/generation"),
        ("/api/v1/", "/api/v1/services/aigc/text-generation/generation"),
        ("/compatible-mode/v1", "/compatible-mode/v1/chat/completions"),
        ("/v1", "/v1/chat/completions"),
    ],
)
def test_the_address_tells_which_protocol_is_spoken(simulator: DashScopeSimulator, given: str, path: str) -> None:
    """Both give the same answer, go on from a prefix and name the workspace."""
    provider = provider_at(simulator.url + given, DASHSCOPE_WORKSPACE=WORKSPACE)
    whole = list(provider.stream(ChatRequest("qwen-plus", HELLO)))
    rest = list(provider.stream(ChatRequest("qwen-plus", HELLO, prefix=text_of(whole[:3]))))
    assert text_of(whole) == said_to(HELLO[0].text)
    assert text_of(rest) == text_of(whole[3:])
    assert [call.request.path for call in simulator.calls] == [path, path]
    assert [call.request.headers["x-dashscope-workspace"] for call in simulator.calls] == [WORKSPACE] * 2
    simulator.key = "sk-another"
    with pytest.raises(VendorRefused, match="key"):
        list(provider.stream(ChatRequest("qwen-plus", HELLO)))
    provider.close()


def test_settings_that_cannot_work_are_refused_by_name() -> None:
    """Before anything is asked."""
    with pytest.raises(config.ConfigError, match="^DASHSCOPE_WORKSPACE"):
        provider_at("https://example.com", DASHSCOPE_WORKSPACE="业务空间")
    with pytest.raises(config.ConfigError, match="^APP_ID"):
        provider_at("https://example.com/v1", APP_ID=APP_ID)


# Applications


def ask(provider: DashScope, *texts: str, user: str = "u1", system: str = "") -> list[Any]:
    """The pieces of an answer to a conversation: question, answer, question ..."""
    roles = ("user", "assistant")
    messages = [ChatMessage(roles[at % 2], text) for at, text in enumerate(texts)]  # type: ignore[arg-type]
    head = [ChatMessage("system", system)] if system else []
    return list(provider.stream(ChatRequest(APPLICATION, (*head, *messages), user=user)))


def seen(simulator: DashScopeSimulator) -> list[str]:
    """What the application had before it at the last call."""
    return [message["content"] for message in simulator.calls[-1].json["messages"]]


def given(simulator: DashScopeSimulator) -> set[str]:
    return set(simulator.calls[-1].json["input"])


def test_an_application_is_a_model_where_its_id_is_set(provider: DashScope, simulator: DashScopeSimulator) -> None:
    """It comes first; its id is told to nobody; the count is the sum over its models."""
    card = provider.models()[0]
    assert (card.id, card.available) == (APPLICATION, True)
    assert APP_ID not in str(card)
    assert APPLICATION not in {card.id for card in provider_at(simulator.base_url).models()}
    pieces = ask(provider, "hi")
    assert text_of(pieces) == said_to("hi")
    assert pieces[-1] == Stop("stop", Usage(simulator.calls[0].prompt_tokens, simulator.calls[0].sold))
    assert simulator.calls[0].request.path == f"/api/v1/apps/{APP_ID}/completion"


def test_an_application_is_served_beside_the_compatible_mode(simulator: DashScopeSimulator) -> None:
    """It has no other protocol than its own."""
    provider = provider_at(f"{simulator.url}/compatible-mode/v1", APP_ID=APP_ID)
    assert text_of(ask(provider, "hi")) == said_to("hi")
    provider.close()


def test_a_conversation_goes_on_in_its_session(provider: DashScope, simulator: DashScopeSimulator) -> None:
    """Only the new question travels; the application has all before it."""
    first = text_of(ask(provider, "one"))
    second = text_of(ask(provider, "one", first, "two"))
    ask(provider, "one", first, "two", second, "three")
    assert given(simulator) == {"prompt", "session_id"}
    assert seen(simulator) == ["one", first, "two", second, "three"]
    assert len(simulator.sessions) == 1


def test_branches_never_see_one_another(provider: DashScope, simulator: DashScopeSimulator) -> None:
    """An answer asked anew, an edited question, an older place: each has just its own path before it."""
    first = text_of(ask(provider, "one"))
    second = text_of(ask(provider, "one", first, "two"))
    for path in (
        ["one", first, "two"],
        ["one", first, "other"],
        ["one", first, "two", second, "three"],
        ["one", first, "two", second, "four"],
        ["one", "an answer cut by a stop", "two"],
        ["two", second, "one"],
    ):
        ask(provider, *path)
        assert seen(simulator) == path


def test_another_user_and_a_system_message_get_no_session(provider: DashScope, simulator: DashScopeSimulator) -> None:
    """Though the words are the same."""
    first = text_of(ask(provider, "one", user="u1"))
    ask(provider, "one", first, "two", user="u2")
    assert given(simulator) == {"messages"}
    ask(provider, "one", first, "two", user="u1", system="Be brief.")
    assert given(simulator) == {"messages"}
    assert seen(simulator) == ["Be brief.", "one", first, "two"]
    ask(provider, "one", first, "two", user="u1")
    assert given(simulator) == {"prompt", "session_id"}


@pytest.mark.parametrize("refuses", [True, False])
def test_a_lost_session_is_begun_again_with_the_history(
    provider: DashScope, simulator: DashScopeSimulator, refuses: bool
) -> None:
    """Whether the vendor says so or answers as if nothing had been before; one answer is seen, the other hung up on."""
    simulator.refuses_lost_sessions = refuses
    first = text_of(ask(provider, "one"))
    simulator.sessions.clear()
    if not refuses:
        simulator.play(Fault(rate=200, pieces=2_000), None)
    pieces = ask(provider, "one", first, "two")
    assert text_of(pieces) == said_to("two")
    assert sum(isinstance(piece, Stop) for piece in pieces) == 1
    assert seen(simulator) == ["one", first, "two"]
    if not refuses:
        assert simulator.calls[-2].hung_up.wait(1)


def test_a_stopped_or_broken_answer_leaves_no_session(provider: DashScope, simulator: DashScopeSimulator) -> None:
    """What the vendor keeps of it is not what was shown; a stop hangs up."""
    simulator.play(Fault(rate=200, pieces=2_000))
    stream = provider.stream(ChatRequest(APPLICATION, (ChatMessage("user", "one"),), user="u1"))
    shown = "".join(piece.text for piece in islice(stream, 3) if isinstance(piece, TextDelta))
    stream.close()
    assert simulator.calls[0].hung_up.wait(1)
    ask(provider, "one", shown, "two")
    assert given(simulator) == {"messages"}
    simulator.play(Fault(reset_after=3))
    with pytest.raises(VendorOverloaded):
        ask(provider, "three")
    ask(provider, "three", "".join(answer_to("three")[:3]), "four")
    assert given(simulator) == {"messages"}


def test_an_applications_thoughts_are_shown_and_its_tools_are_not(
    provider: DashScope, simulator: DashScopeSimulator
) -> None:
    """Look-ups and plug-in calls are the operator's own."""
    simulator.app_thinks = True
    pieces = ask(provider, "hi")
    thoughts = "".join(piece.text for piece in pieces if isinstance(piece, ReasoningDelta))
    assert thoughts == "First I 想一想, then I answer."
    assert text_of(pieces) == said_to("hi")


def test_an_unknown_application_is_refused(simulator: DashScopeSimulator) -> None:
    """The vendor says so inside a stream it had accepted."""
    provider = provider_at(simulator.base_url, APP_ID="no/such app")
    with pytest.raises(VendorRefused, match="does not serve"):
        ask(provider, "hi")
    assert simulator.calls[0].request.path == "/api/v1/apps/no%2Fsuch%20app/completion"
    provider.close()


def test_sessions_end_by_age_by_turns_and_by_number(monkeypatch: pytest.MonkeyPatch) -> None:
    """Well before the vendor's own limits, which are not certain."""
    monkeypatch.setattr("services.providers.dashscope_application.SESSIONS", 2)
    clock = FakeClock()
    sessions = Sessions(clock)
    histories = [(ChatMessage("user", hashlib.md5(bytes([number])).hexdigest()),) for number in range(3)]
    for history in histories:
        sessions.keep("u", history, id="s", turns=1)
    assert sessions.take("u", histories[0]) is None
    found = sessions.take("u", histories[1])
    assert found is not None
    assert sessions.take("u", histories[1]) is None
    clock.advance(SESSION_S)
    assert sessions.take("u", histories[2]) is None
    sessions.keep("u", histories[0], id="s", turns=SESSION_TURNS)
    assert sessions.take("u", histories[0]) is None
