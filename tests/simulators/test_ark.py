"""The simulated Ark's honesty: Ark's own client must be able to work with it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import requests
from volcenginesdkarkruntime import Ark  # type: ignore[import-untyped]
from volcenginesdkarkruntime._exceptions import (  # type: ignore[import-untyped]
    ArkAPIError,
    ArkAuthenticationError,
    ArkBadRequestError,
    ArkInternalServerError,
    ArkNotFoundError,
    ArkPermissionDeniedError,
    ArkRateLimitError,
)

from simulators.ark import CLOSED, ENDPOINT, MODEL, NOT_OPEN, RECALL, THINKING, ArkSimulator
from simulators.faults import Fault
from simulators.openai import KEY, answer_to
from tests.clocks import FakeClock

CUT = {"type": "rolling_tokens", "rolling_tokens": True}


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def simulator(clock: FakeClock) -> Iterator[ArkSimulator]:
    with ArkSimulator(clock=clock.monotonic) as simulator:
        yield simulator


def client(simulator: ArkSimulator, key: str = KEY) -> Ark:
    return Ark(api_key=key, base_url=simulator.base_url, max_retries=0, timeout=10)


def user(text: str) -> dict[str, Any]:
    return {"role": "user", "content": text}


def told(stream: Any) -> tuple[str, str, str | None, str | None, Any]:
    """Text, thoughts, finish reason, inspection's hit and usage of a stream."""
    text, thoughts, reason, hit, usage = "", "", None, None, None
    for chunk in stream:
        usage = chunk.usage or usage
        for choice in chunk.choices:
            text += choice.delta.content or ""
            thoughts += choice.delta.reasoning_content or ""
            reason, hit = choice.finish_reason or reason, choice.moderation_hit_type or hit
    return text, thoughts, reason, hit, usage


def ask(simulator: ArkSimulator, *messages: dict[str, Any], model: str = ENDPOINT, **more: Any) -> Any:
    return told(
        client(simulator).chat.completions.create(
            model=model, messages=list(messages), stream=True, stream_options={"include_usage": True}, **more
        )
    )


@pytest.mark.parametrize("model", [ENDPOINT, MODEL, THINKING])
def test_the_stock_client_completes_a_streamed_call(simulator: ArkSimulator, model: str) -> None:
    """Text, reason and a usage equal to what was sold; the nulls it sends for what was not given are no matter."""
    text, thoughts, reason, hit, usage = ask(simulator, user("Hello 世界"), model=model)
    assert (text, reason, hit) == ("".join(answer_to("Hello 世界")), "stop", None)
    assert bool(thoughts) == (model == THINKING)
    assert [usage.completion_tokens] == simulator.sold
    assert usage.completion_tokens_details.reasoning_tokens == (3 if model == THINKING else 0)
    assert b"null" in simulator.calls[0].request.body
    assert "temperature" not in simulator.calls[0].json


def test_the_stock_client_completes_a_call_that_is_not_streamed(simulator: ArkSimulator) -> None:
    """With the model behind the endpoint."""
    answer = client(simulator).chat.completions.create(model=ENDPOINT, messages=[user("hi")])
    assert answer.choices[0].message.content == "".join(answer_to("hi"))
    assert answer.model == MODEL
    assert [answer.usage.completion_tokens] == simulator.sold


def test_the_stock_client_is_refused_as_by_ark(simulator: ArkSimulator) -> None:
    """Its own exceptions, with code and request id; the client's id for the call comes back."""
    with pytest.raises(ArkAuthenticationError) as wrong:
        client(simulator, "ark-wrong").chat.completions.create(model=ENDPOINT, messages=[user("hi")])
    assert wrong.value.code == "AuthenticationError"
    traced = simulator.calls[0].request.headers["x-client-request-id"]
    assert traced
    assert wrong.value.request_id == traced
    assert wrong.value.response.headers["x-request-id"].startswith("0217")
    for model, kind, code in (
        ("ep-unknown", ArkNotFoundError, "InvalidEndpointOrModel.NotFound"),
        (NOT_OPEN, ArkNotFoundError, "ModelNotOpen"),
        (CLOSED, ArkBadRequestError, "InvalidEndpoint.ClosedEndpoint"),
    ):
        with pytest.raises(kind) as refused:
            ask(simulator, user("hi"), model=model)
        assert refused.value.code == code
    with pytest.raises(ArkBadRequestError) as missing:
        ask(simulator)
    assert missing.value.code == "MissingParameter"
    with pytest.raises(ArkBadRequestError):
        ask(simulator, user("hi"), max_tokens=5, max_completion_tokens=5)
    with pytest.raises(ArkRateLimitError) as fast:
        ask(simulator, user("[[fault status=429 code=RateLimitExceeded.EndpointRPMExceeded]]"))
    assert fast.value.code == "RateLimitExceeded.EndpointRPMExceeded"
    with pytest.raises(ArkInternalServerError):
        ask(simulator, user("[[fault status=500 code=InternalServiceError]]"))
    with pytest.raises(ArkAPIError) as inside:
        ask(simulator, user("[[fault error-after=2]]"))
    assert inside.value.code == "InternalServiceError"


def test_an_inspection_that_strikes_says_so(simulator: ArkSimulator) -> None:
    """Beside the finish reason."""
    _, _, reason, hit, _ = ask(simulator, user("[[fault finish=content_filter]]"))
    assert (reason, hit) == ("content_filter", "violence")


def test_a_last_message_of_the_assistants_is_gone_on_from(simulator: ArkSimulator) -> None:
    """Except by models that think."""
    begun = "".join(answer_to("hi")[:4])
    text = ask(simulator, user("hi"), {"role": "assistant", "content": begun})[0]
    assert begun + text == "".join(answer_to("hi"))
    anew = ask(simulator, user("hi"), {"role": "assistant", "content": begun}, model=THINKING)[0]
    assert anew == "".join(answer_to("hi"))


def made(simulator: ArkSimulator, **more: Any) -> Any:
    system = {"role": "system", "content": "Be brief."}
    return client(simulator).context.create(
        model=ENDPOINT, messages=[system], **{"ttl": 3600, "truncation_strategy": CUT, **more}
    )


def converse(simulator: ArkSimulator, context_id: str, text: str, **more: Any) -> Any:
    return told(
        client(simulator).context.completions.create(
            context_id=context_id,
            messages=[user(text)],
            stream=True,
            stream_options={"include_usage": True},
            **{"model": ENDPOINT, **more},
        )
    )


def test_a_context_remembers_and_counts_what_it_remembered(simulator: ArkSimulator) -> None:
    """Each turn is added; what came from the cache grows."""
    context = made(simulator)
    assert (context.mode, context.ttl, context.truncation_strategy.type) == ("session", 3600, "rolling_tokens")
    cached = [converse(simulator, context.id, text)[4].prompt_tokens_details.cached_tokens for text in ("春", "眠")]
    assert 0 < cached[0] < cached[1]
    assert converse(simulator, context.id, RECALL)[0] == "春; 眠; "


def test_a_common_prefix_stays_as_it_is(simulator: ArkSimulator) -> None:
    """Its turns are not kept."""
    context = made(simulator, mode="common_prefix")
    converse(simulator, context.id, "春")
    assert converse(simulator, context.id, RECALL)[0] == ""


def test_contexts_are_refused_as_by_ark(simulator: ArkSimulator, clock: FakeClock) -> None:
    """A wrong life, another endpoint, tools, an unknown or expired one; each use begins the life anew."""
    for ttl in (3599, 604_801):
        with pytest.raises(ArkBadRequestError):
            made(simulator, ttl=ttl)
    with pytest.raises(ArkBadRequestError):
        client(simulator).context.create(model=MODEL, messages=[user("hi")], ttl=3600)
    context = made(simulator)
    with pytest.raises(ArkBadRequestError):
        converse(simulator, context.id, "hi", model=THINKING)
    with pytest.raises(ArkBadRequestError):
        converse(simulator, context.id, "hi", tools=[{"type": "function", "function": {"name": "f"}}])
    with pytest.raises(ArkNotFoundError):
        converse(simulator, "ctx-unknown", "hi")
    clock.advance(3_000)
    converse(simulator, context.id, "hi")
    clock.advance(3_000)
    converse(simulator, context.id, "hi")
    clock.advance(3_600)
    with pytest.raises(ArkNotFoundError):
        converse(simulator, context.id, "hi")


def test_a_context_takes_one_call_at_a_time(simulator: ArkSimulator) -> None:
    """The second is told that the first is under way."""
    context = made(simulator)
    simulator.play(Fault(silent_after=2))
    body = {"model": ENDPOINT, "context_id": context.id, "messages": [user("hi")], "stream": True}
    url, headers = f"{simulator.base_url}/context/chat/completions", {"Authorization": f"Bearer {KEY}"}
    with requests.post(url, json=body, headers=headers, stream=True, timeout=5):
        with pytest.raises(ArkPermissionDeniedError) as busy:
            converse(simulator, context.id, "hi")
        assert busy.value.code == "OperationDenied.InvalidState"
    assert simulator.calls[1].ended.wait(5)
    assert "".join(answer_to("hi")[:2]) in simulator.contexts[context.id].messages[-1]["content"]
    assert converse(simulator, context.id, "hi")[2] == "stop"
