"""The simulator's honesty: the stock client must be able to hold a conversation with it."""

from __future__ import annotations

from collections.abc import Iterator

import openai
import pytest
import requests

from simulators.faults import Fault, read_directive
from simulators.openai import KEY, OpenAISimulator, answer_to


@pytest.fixture
def simulator() -> Iterator[OpenAISimulator]:
    with OpenAISimulator() as simulator:
        yield simulator


def client(simulator: OpenAISimulator, dialect: str = "openai", key: str = KEY) -> openai.OpenAI:
    return openai.OpenAI(api_key=key, base_url=f"{simulator.url}/{dialect}/v1", max_retries=0)


def ask(
    simulator: OpenAISimulator, prompt: str, *, dialect: str = "openai", model: str = "gpt-4o-mini"
) -> tuple[str, str, str | None, int]:
    """Text, reasoning, finish reason and completion tokens of a streamed call."""
    text, thoughts, reason, tokens = "", "", None, 0
    stream = client(simulator, dialect).chat.completions.create(
        model=model,
        messages=[{"role": "user", "content": prompt}],
        stream=True,
        stream_options={"include_usage": True},
    )
    for chunk in stream:
        if chunk.usage:
            tokens = chunk.usage.completion_tokens
        for choice in chunk.choices:
            text += choice.delta.content or ""
            thoughts += getattr(choice.delta, "reasoning_content", None) or ""
            reason = choice.finish_reason or reason
    return text, thoughts, reason, tokens


@pytest.mark.parametrize(
    ("dialect", "model"),
    [
        ("openai", "gpt-4o-mini"),
        ("deepseek", "deepseek-chat"),
        ("deepseek", "deepseek-reasoner"),
        ("ollama", "qwen2:7b"),
        ("vllm", "Qwen/Qwen2.5-7B-Instruct"),
        ("dashscope", "qwen-plus"),
    ],
)
def test_the_stock_client_completes_a_streamed_call(simulator: OpenAISimulator, dialect: str, model: str) -> None:
    """Text, reason and a usage equal to what the simulator says it sold."""
    text, thoughts, reason, tokens = ask(simulator, "Hello 世界", dialect=dialect, model=model)
    assert (text, reason) == ("".join(answer_to("Hello 世界")), "stop")
    assert bool(thoughts) == (model == "deepseek-reasoner")
    assert [tokens] == simulator.sold


def test_the_stock_client_completes_a_call_that_is_not_streamed(simulator: OpenAISimulator) -> None:
    """One body, the same text and count."""
    answer = client(simulator, "deepseek").chat.completions.create(
        model="deepseek-chat", messages=[{"role": "user", "content": "hi"}]
    )
    assert answer.choices[0].message.content == "".join(answer_to("hi"))
    assert answer.usage is not None
    assert [answer.usage.completion_tokens] == simulator.sold


def test_the_stock_client_sees_refusals_as_such(simulator: OpenAISimulator) -> None:
    """A wrong key, an unknown model, no messages, a scripted refusal, an error in the middle."""
    hello = [{"role": "user", "content": "hi"}]
    with pytest.raises(openai.AuthenticationError):
        client(simulator, key="sk-wrong").chat.completions.create(model="gpt-4o-mini", messages=hello)  # type: ignore[arg-type]
    with pytest.raises(openai.NotFoundError):
        client(simulator).chat.completions.create(model="gpt-9", messages=hello)  # type: ignore[arg-type]
    with pytest.raises(openai.BadRequestError):
        client(simulator).chat.completions.create(model="gpt-4o-mini", messages=[])
    with pytest.raises(openai.RateLimitError) as limited:
        ask(simulator, "[[fault status=429 code=insufficient_quota retry-after=3]]")
    assert limited.value.code == "insufficient_quota"
    assert limited.value.response.headers["retry-after"] == "3"
    with pytest.raises(openai.InternalServerError):
        ask(simulator, "[[fault status=503]]")
    with pytest.raises(openai.APIError):
        ask(simulator, "[[fault error-after=2]]")
    with pytest.raises(openai.APIConnectionError):
        ask(simulator, "[[fault reset-after=2]]")
    assert ask(simulator, "[[fault end-after=2]]")[2] is None


def test_models_are_listed_in_each_dialects_shape(simulator: OpenAISimulator) -> None:
    """OpenAI's list, and Ollama's tags."""
    assert "gpt-4o-mini" in [model.id for model in client(simulator).models.list()]
    tags = requests.get(f"{simulator.url}/ollama/api/tags", timeout=5).json()
    assert "qwen2:7b" in [model["name"] for model in tags["models"]]


def test_dialects_refuse_what_their_vendors_refuse(simulator: OpenAISimulator) -> None:
    """Reasoning sent back, a prefix outside the beta, a role nobody has."""

    def status(path: str, *messages: dict[str, object], model: str = "deepseek-chat") -> int:
        return requests.post(
            simulator.url + path,
            json={"model": model, "messages": messages},
            headers={"Authorization": f"Bearer {KEY}"},
            timeout=5,
        ).status_code

    user: dict[str, object] = {"role": "user", "content": "hi"}
    prefix: dict[str, object] = {"role": "assistant", "content": "h", "prefix": True}
    assert status("/deepseek/chat/completions", user) == 200
    assert status("/deepseek/chat/completions", user | {"reasoning_content": "x"}) == 400
    assert status("/deepseek/chat/completions", user, prefix) == 400
    assert status("/deepseek/beta/chat/completions", user, prefix) == 200
    assert status("/deepseek/beta/chat/completions", prefix, user) == 400
    assert status("/deepseek/chat/completions", {"role": "wizard", "content": "hi"}) == 422
    assert status("/openai/v1/chat/completions", {"role": "wizard", "content": "hi"}, model="gpt-4o") == 400


def test_a_script_comes_before_the_prompts_wishes() -> None:
    """One fault per call, in order; `times` limits a directive to its first calls."""
    with OpenAISimulator(script=[Fault(status=500), None]) as simulator:
        with pytest.raises(openai.InternalServerError):
            ask(simulator, "hi [[fault end-after=1 times=1]]")
        assert ask(simulator, "hi [[fault end-after=1 times=1]]")[2] == "stop"
        assert ask(simulator, "hi [[fault end-after=1 times=1]]")[2] is None
        assert ask(simulator, "hi [[fault end-after=1 times=1]]")[2] == "stop"


def test_a_directive_is_read_or_refused() -> None:
    """A word that means nothing is a mistake of the test that wrote it."""
    assert read_directive("hi [[fault reset-after=3 rate=2.5 crlf retry-after=1]] there") == Fault(
        reset_after=3, rate=2.5, crlf=True, retry_after="1"
    )
    assert read_directive("no directive") == Fault()
    with pytest.raises(ValueError, match="unknown fault"):
        read_directive("[[fault explode=now]]")
