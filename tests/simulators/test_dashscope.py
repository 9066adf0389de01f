"""The simulator's honesty: the stock package must be able to hold a conversation with it."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from http import HTTPStatus
from itertools import pairwise
from typing import Any

import dashscope
import pytest
import requests
from dashscope import Application, Generation, MultiModalConversation

from simulators.dashscope import APP_ID, WORKSPACE, DashScopeSimulator
from simulators.faults import Fault
from simulators.openai import KEY, answer_to

HELLO: list[Any] = [{"role": "user", "content": "Hello 世界"}]
SAID = "".join(answer_to("Hello 世界"))
PICTURE = "data:image/png;base64," + base64.b64encode(b"\x89PNG\r\n\x1a\n" + bytes(32)).decode()


@pytest.fixture
def simulator(monkeypatch: pytest.MonkeyPatch) -> Iterator[DashScopeSimulator]:
    with DashScopeSimulator() as simulator:
        monkeypatch.setattr(dashscope, "base_http_api_url", simulator.base_url)
        monkeypatch.setattr(dashscope, "api_key", KEY)
        yield simulator


def frames_of(api: Any, **given: Any) -> list[Any]:
    """The frames of a streamed call."""
    return list(api.call(stream=True, **given))


def generate(**more: Any) -> list[Any]:
    """The frames of a text model."""
    return frames_of(Generation, **{"model": "qwen-plus", "messages": HELLO, "result_format": "message", **more})


def test_the_stock_package_completes_a_streamed_call(simulator: DashScopeSimulator) -> None:
    """New text in each frame, a count in all, the reason in the last and the word "null" before it."""
    frames = generate(incremental_output=True)
    assert {frame.status_code for frame in frames} == {HTTPStatus.OK}
    choices = [frame.output.choices[0] for frame in frames]
    assert "".join(choice.message.content for choice in choices) == SAID
    assert [choice.finish_reason for choice in choices] == ["null"] * (len(choices) - 1) + ["stop"]
    assert [frames[-1].usage.output_tokens] == simulator.sold
    assert all(frame.usage.input_tokens for frame in frames)
    assert len({frame.request_id for frame in frames}) == 1


def test_the_stock_package_is_given_wholes_where_it_asks_for_no_increments(simulator: DashScopeSimulator) -> None:
    """Each frame goes on from the one before."""
    texts = [frame.output.choices[0].message.content for frame in generate()]
    assert texts[-1] == SAID
    assert all(later.startswith(earlier) for earlier, later in pairwise(texts))


def test_the_stock_package_completes_a_call_that_is_not_streamed(simulator: DashScopeSimulator) -> None:
    """One body, the same text."""
    answer: Any = Generation.call(model="qwen-plus", messages=HELLO, result_format="message")
    assert answer.output.choices[0].message.content == SAID
    assert [answer.usage.output_tokens] == simulator.sold


def test_the_stock_package_reads_thoughts(simulator: DashScopeSimulator) -> None:
    """Beside empty text, before the answer."""
    messages = [frame.output.choices[0].message for frame in generate(model="qwq-plus", incremental_output=True)]
    assert "".join(message.reasoning_content for message in messages) == "First I 想一想, then I answer."
    assert "".join(message.content for message in messages) == SAID


def test_the_stock_package_sees_refusals_as_such(simulator: DashScopeSimulator) -> None:
    """Before the stream, at its start and in its middle; by status, by its own code, or as a broken line."""

    def refused(**more: Any) -> tuple[int, str]:
        (frame,) = generate(**more)
        return frame.status_code, frame.code

    assert refused(model="qwen-9") == (404, "ModelNotFound")
    assert refused(messages=[*HELLO, *HELLO]) == (400, "InvalidParameter")
    assert refused(model="qwen-vl-plus") == (400, "InvalidParameter")
    assert refused(workspace="llm-another") == (403, "Workspace.AccessDenied")
    simulator.play(Fault(status=429), Fault(status=400, code="Arrearage"), Fault(error_after=0))
    assert refused() == (429, "Throttling.RateQuota")
    assert refused() == (400, "Arrearage")
    assert refused() == (400, "InternalError.Algo")  # the package takes every such status for 400
    simulator.play(Fault(error_after=3, code="DataInspectionFailed"))
    *frames, last = generate(incremental_output=True)
    assert "".join(frame.output.choices[0].message.content for frame in frames) == "".join(answer_to("Hello 世界")[:3])
    assert (last.output, last.code) == (None, "DataInspectionFailed")
    simulator.play(Fault(cut_after=3))
    with pytest.raises(requests.exceptions.ChunkedEncodingError):
        generate()


def test_the_stock_package_is_told_of_a_wrong_key(simulator: DashScopeSimulator) -> None:
    """By text generation and by applications alike."""
    (frame,) = generate(api_key="sk-wrong")
    assert (frame.status_code, frame.code) == (401, "InvalidApiKey")
    (frame,) = frames_of(Application, app_id=APP_ID, prompt="hi", api_key="sk-wrong")
    assert (frame.status_code, frame.code) == (401, "InvalidApiKey")


def talk(**more: Any) -> tuple[str, str, Any]:
    """Text, session and last frame of an application's streamed answer."""
    given = {"app_id": APP_ID, "workspace": WORKSPACE, "incremental_output": True, **more}
    frames = frames_of(Application, **given)
    last = frames[-1]
    if last.output is None:
        return "", "", last
    return "".join(frame.output.text for frame in frames), last.output.session_id, last


def test_the_stock_package_talks_with_an_application(simulator: DashScopeSimulator) -> None:
    """A session holds what was said; the count is one for each model."""
    said, session, last = talk(prompt="one")
    assert said == "".join(answer_to("one"))
    assert last.output.finish_reason == "stop"
    assert [sum(model.output_tokens for model in last.usage.models)] == simulator.sold
    again = talk(prompt="two", session_id=session)[1]
    assert again == session
    assert [message["content"] for message in simulator.sessions[session]] == [
        "one",
        said,
        "two",
        "".join(answer_to("two")),
    ]
    said, other, _ = talk(messages=[{"role": "user", "content": "three"}], session_id=session)
    assert (said, other != session) == ("".join(answer_to("three")), True)


def test_the_stock_package_reads_an_applications_thoughts(simulator: DashScopeSimulator) -> None:
    """When it asks for them."""
    simulator.app_thinks = True
    frames = frames_of(Application, app_id=APP_ID, prompt="hi", incremental_output=True, has_thoughts=True)
    steps = [step for frame in frames for step in frame.output.thoughts]
    thoughts = "".join(step.thought for step in steps if step.action_type == "reasoning")
    assert thoughts == "First I 想一想, then I answer."
    assert talk(prompt="hi")[2].output.thoughts is None


def test_the_stock_package_is_refused_an_application_it_may_not_use(simulator: DashScopeSimulator) -> None:
    """Inside a stream; and a session that is gone, where the simulator is told to."""
    assert talk(app_id="another", prompt="hi")[2].code == "InvalidParameter"
    simulator.refuses_lost_sessions = True
    assert talk(prompt="hi", session_id="0" * 32)[2].code == "InvalidParameter"


def test_the_stock_package_shows_a_picture(simulator: DashScopeSimulator) -> None:
    """Content comes in parts; one that cannot be decoded is refused."""

    def show(picture: str) -> list[Any]:
        messages = [{"role": "user", "content": [{"image": picture}, {"text": "What is this?"}]}]
        return frames_of(MultiModalConversation, model="qwen-vl-plus", messages=messages, incremental_output=True)

    frames = show(PICTURE)
    parts = [part for frame in frames for part in frame.output.choices[0].message.content]
    assert "".join(part["text"] for part in parts) == "".join(answer_to("What is this?"))
    (frame,) = show("data:image/png;base64,AAAA")
    assert (frame.status_code, frame.code) == (400, "InvalidParameter")


def test_no_blank_stands_behind_a_fields_colon(simulator: DashScopeSimulator) -> None:
    """As on the vendor's wire, where the status is a comment and no end mark comes."""
    body = {"model": "qwen-plus", "input": {"messages": HELLO}, "parameters": {"incremental_output": True}}
    headers = {"Authorization": f"Bearer {KEY}", "X-DashScope-SSE": "enable"}
    url = f"{simulator.base_url}/services/aigc/text-generation/generation"
    lines = requests.post(url, json=body, headers=headers, timeout=5).text.split("\n")
    assert lines[:3] == ["id:1", "event:result", ":HTTP_STATUS/200"]
    assert lines[3].startswith('data:{"output":{"choices":[{"message":{"content":"')
    assert lines[-3].startswith("data:{")
    assert "[DONE]" not in "".join(lines)
