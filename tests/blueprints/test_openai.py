"""OpenAI's shape, by the stock client: whole, streamed, refused, given up."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import gevent
import openai
import pytest
import requests
from gevent.event import Event
from sqlalchemy import select

from db.models import Picture as PictureRow
from services.errors import VendorOverloaded
from services.events import ReasoningDelta, Restarted, Stop, TextDelta, Usage
from services.identity import Identity
from services.providers.base import ChatMessage, ChatRequest
from tests.servers import Stand
from tests.services.pictures.samples import picture

LIMIT_S = 20
HELLO: Any = [{"role": "user", "content": "hello"}]


class Program:
    """A program of Ann's with the stock client."""

    def __init__(self, stand: Stand) -> None:
        self.stand = stand
        self.address = stand.site.open()
        self.headers = stand.site.register("ann")
        self.token = self.headers["Authorization"].removeprefix("Bearer ")
        self.identity: Identity = stand.services.doorkeeper.by_token(self.token)
        self.openai = self.client(self.token)

    def client(self, key: str) -> openai.OpenAI:
        return openai.OpenAI(base_url=f"{self.address}/v1", api_key=key, max_retries=0, timeout=LIMIT_S)

    def ask(self, **fields: Any) -> Any:
        return self.openai.chat.completions.create(**{"model": "scripted", "messages": HELLO, **fields})

    def post(self, body: Any, **headers: str) -> requests.Response:
        return requests.post(f"{self.address}/v1/chat/completions", json=body, headers=headers, timeout=LIMIT_S)

    def quiet(self) -> None:
        """Wait until none of Ann's turns runs."""
        with gevent.Timeout(LIMIT_S):
            while self.stand.services.turns.running(self.identity):
                gevent.sleep(0.005)


@pytest.fixture
def program(stand: Stand) -> Program:
    return Program(stand)


def test_the_models_are_listed_with_what_is_ours_besides(program: Program) -> None:
    listed = list(program.openai.models.list())
    assert [(model.id, model.object, model.owned_by) for model in listed] == [("scripted", "model", "scripted")]
    assert listed[0].model_extra == {
        "name": "Scripted", "provider": "scripted", "vision": False, "reasoning": False, "available": True,
    }  # fmt: skip
    assert program.openai.models.retrieve("scripted").id == "scripted"
    with pytest.raises(openai.NotFoundError):
        program.openai.models.retrieve("nothing")


def test_a_whole_answer(program: Program) -> None:
    def script(request: ChatRequest) -> Iterator[Any]:
        yield ReasoningDelta("let me see")
        yield from map(TextDelta, ("春眠", "不觉晓"))
        yield Stop("stop", Usage(11, 7))

    program.stand.provider.script = script
    answer = program.ask()
    assert answer.object == "chat.completion"
    assert answer.model == "scripted"
    choice = answer.choices[0]
    assert (choice.index, choice.finish_reason, choice.message.role) == (0, "stop", "assistant")
    assert choice.message.content == "春眠不觉晓"
    assert choice.message.reasoning_content == "let me see"
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens, answer.usage.total_tokens) == (11, 7, 18)


def test_a_streamed_answer(program: Program) -> None:
    """Role first, pieces as they come, one finish, the count for those who asked, `[DONE]`."""

    def script(request: ChatRequest) -> Iterator[Any]:
        yield ReasoningDelta("hm")
        yield TextDelta("one ")
        yield TextDelta("two")
        yield Stop("length", Usage(5, 3))

    program.stand.provider.script = script
    chunks = list(program.ask(stream=True, stream_options={"include_usage": True}))
    assert {chunk.object for chunk in chunks} == {"chat.completion.chunk"}
    assert len({(chunk.id, chunk.created, chunk.model) for chunk in chunks}) == 1
    assert (chunks[0].choices[0].delta.role, chunks[0].choices[0].delta.content) == ("assistant", "")
    deltas = [chunk.choices[0].delta for chunk in chunks[1:-2]]
    assert "".join(getattr(delta, "reasoning_content", None) or "" for delta in deltas) == "hm"
    assert "".join(delta.content or "" for delta in deltas) == "one two"
    assert [chunk.choices[0].finish_reason for chunk in chunks[:-1]] == [None] * (len(chunks) - 2) + ["length"]
    assert (chunks[-1].choices, chunks[-1].usage.total_tokens) == ([], 8)
    assert all(chunk.usage is None for chunk in chunks[:-1])

    raw = program.post({"model": "scripted", "messages": HELLO, "stream": True}, **program.headers)
    assert raw.headers["Content-Type"] == "text/event-stream; charset=utf-8"
    lines = [line for line in raw.text.split("\n\n") if line]
    assert all(line.startswith("data: ") for line in lines)
    assert lines[-1] == "data: [DONE]"
    assert not any("usage" in json.loads(line[6:]) for line in lines[:-1])


def test_the_model_is_asked_exactly_what_the_program_said(program: Program) -> None:
    """The call's own history, every system message first, the settings; nothing from earlier calls."""
    program.ask(messages=[{"role": "user", "content": "an earlier call"}])
    program.ask(
        messages=[
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "first"},
            {"role": "assistant", "content": "erste"},
            {"role": "developer", "content": [{"type": "text", "text": "Speak German."}]},
            {"role": "user", "content": [{"type": "text", "text": "second"}, {"type": "text", "text": "line"}]},
        ],
        temperature=0.5,
        top_p=0.9,
        max_tokens=99,
        seed=1,
        user="somebody",
    )
    request = program.stand.provider.requests[-1]
    assert request.messages == (
        ChatMessage("system", "Be brief.\n\nSpeak German."),
        ChatMessage("user", "first"),
        ChatMessage("assistant", "erste"),
        ChatMessage("user", "second\nline"),
    )
    assert (request.temperature, request.top_p, request.max_tokens) == (0.5, 0.9, 99)


def test_a_long_history_is_sent_whole_or_refused(program: Program) -> None:
    """What the program said is never cut behind its back: not at MAX_HISTORY, not at the model's context."""
    turns = [{"role": role, "content": f"{n}"} for n in range(60) for role in ("user", "assistant")]
    program.ask(messages=[*turns, *HELLO])
    assert len(program.stand.provider.requests[-1].messages) == 121
    with pytest.raises(openai.BadRequestError) as refused:
        program.ask(
            messages=[{"role": "user", "content": "字" * 40_000}, {"role": "assistant", "content": "a"}, *HELLO]
        )
    assert refused.value.param == "messages"


def test_a_days_calls_are_one_conversation(either_stand: Stand) -> None:
    """They do not bury what the user wrote; each is a branch of its own, to be looked up and paid for as any turn."""
    program = Program(either_stand)
    first, second = program.ask(), program.ask(messages=[{"role": "user", "content": "again"}])
    client, headers = program.stand.site.client(), program.headers
    (conversation,) = client.get("/v1/conversations", headers=headers).get_json()["conversations"]
    assert conversation["title"].startswith("API ")
    messages = client.get(f"/v1/conversations/{conversation['id']}/messages", headers=headers).get_json()["messages"]
    assert [(message["role"], message["text"]) for message in messages] == [
        ("user", "hello"), ("assistant", "hello"), ("user", "again"), ("assistant", "hello"),
    ]  # fmt: skip
    assert [message["parent"] for message in messages if message["role"] == "user"] == [None, None]
    assert [f"chatcmpl-{m['turn']}" for m in messages if m["role"] == "assistant"] == [first.id, second.id]


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"n": 2}, "n"),
        ({"tools": [{"type": "function", "function": {"name": "f"}}]}, "tools"),
        ({"stop": ["\n"]}, "stop"),
        ({"logprobs": True}, "logprobs"),
        ({"response_format": {"type": "json_object"}}, "response_format"),
        ({"modalities": ["text", "audio"]}, "modalities"),
        ({"temperature": 3}, "temperature"),
        ({"temperature": "hot"}, "temperature"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"max_tokens": -1}, "max_tokens"),
        ({"max_completion_tokens": 1.5}, "max_completion_tokens"),
        ({"stream_options": 1}, "stream_options"),
        ({"messages": []}, "messages"),
        ({"messages": "hello"}, "messages"),
        ({"messages": [{"role": "assistant", "content": "hello"}]}, "messages"),
        ({"messages": [{"role": "tool", "content": "x", "tool_call_id": "1"}]}, "messages[0].role"),
        ({"messages": [{"role": "user", "content": None}]}, "messages[0].content"),
        ({"messages": [{"role": "user", "content": " "}]}, "messages[0].content"),
        ({"messages": ["hello"]}, "messages[0]"),
        (
            {"messages": [{"role": "user", "content": [{"type": "input_audio", "input_audio": {"data": ""}}]}]},
            "messages[0].content[0].type",
        ),
    ],
)
def test_what_would_change_the_answer_is_refused_by_name(program: Program, fields: dict[str, Any], param: str) -> None:
    answer = program.post({"model": "scripted", "messages": HELLO, **fields}, **program.headers)
    error = answer.json()["error"]
    assert answer.status_code == 400
    assert (error["code"], error["type"], error["param"]) == ("invalid_request", "invalid_request_error", param)
    assert program.stand.provider.requests == []


def test_what_is_harmless_or_empty_is_ignored(program: Program) -> None:
    extra = {"n": 1, "stop": [], "tools": [], "logprobs": False, "response_format": {"type": "text"}, "store": True}
    answer = program.post({"model": "scripted", "messages": HELLO, **extra, "metadata": {}}, **program.headers)
    assert answer.status_code == 200


def test_errors_are_what_the_stock_client_knows(program: Program) -> None:
    for key in ("sk-made-up", "x" * 300):
        with pytest.raises(openai.AuthenticationError) as refused:
            program.client(key).chat.completions.create(model="scripted", messages=HELLO)
        assert (refused.value.code, refused.value.type) == ("unauthenticated", "authentication_error")
    with pytest.raises(openai.NotFoundError) as unknown:
        program.ask(model="gpt-99")
    assert unknown.value.code == "model_unknown"


@pytest.mark.parametrize("stream", [False, True])
def test_a_vendor_that_fails_before_a_word_is_a_status(program: Program, stream: bool) -> None:
    def script(request: ChatRequest) -> Iterator[Any]:
        yield from ()
        raise VendorOverloaded("The model's provider is overloaded.")

    program.stand.provider.script = script
    with pytest.raises(openai.InternalServerError) as failed:
        list(program.ask(stream=stream))
    assert (failed.value.status_code, failed.value.code) == (503, "vendor_overloaded")
    assert failed.value.response.headers["x-should-retry"] == "true"


def test_a_vendor_that_breaks_off_is_an_error_after_the_words(program: Program) -> None:
    def script(request: ChatRequest) -> Iterator[Any]:
        yield TextDelta("so far")
        raise VendorOverloaded("The model's provider broke off.")

    program.stand.provider.script = script
    got: list[str | None] = []
    with pytest.raises(openai.APIError) as failed:
        got.extend(chunk.choices[0].delta.content for chunk in program.ask(stream=True))
    assert "".join(map(str, got)) == "so far"
    assert failed.value.code == "vendor_overloaded"


def test_reasoning_that_was_started_over_is_not_an_error(program: Program) -> None:
    def script(request: ChatRequest) -> Iterator[Any]:
        yield ReasoningDelta("void")
        yield Restarted()
        yield TextDelta("fine")
        yield Stop("stop")

    program.stand.provider.script = script
    chunks = list(program.ask(stream=True))
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == "fine"


class Hose:
    """A script without end that tells when it is running."""

    def __init__(self, first: str = "more ") -> None:
        self.running = Event()
        self.first = first

    def __call__(self, request: ChatRequest) -> Iterator[Any]:
        while True:
            self.running.set()
            if self.first:
                yield TextDelta(self.first)
            gevent.sleep(0.01)


def test_hanging_up_in_mid_stream_stops_the_turn(program: Program) -> None:
    """The vendor is hung up on; what was shown is stored and charged."""
    hose = program.stand.provider.script = Hose()
    stream = program.ask(stream=True)
    assert next(iter(stream)).choices[0].delta.role == "assistant"
    stream.close()
    program.quiet()
    assert hose.running.is_set()
    (message,) = _answers(program)
    assert message["status"] == "stopped"


def test_hanging_up_on_a_whole_answer_stops_the_turn(program: Program) -> None:
    hose = program.stand.provider.script = Hose(first="")

    def impatient() -> None:
        with pytest.raises(openai.APITimeoutError):
            program.openai.with_options(timeout=0.5).chat.completions.create(model="scripted", messages=HELLO)

    asking = gevent.spawn(impatient)
    assert hose.running.wait(LIMIT_S)
    asking.get(timeout=LIMIT_S)
    program.quiet()
    (message,) = _answers(program)
    assert message["status"] == "stopped"


def test_a_named_call_runs_on_and_is_the_same_call_again(program: Program) -> None:
    """With an `Idempotency-Key` the program comes back for its answer: one call of the vendor, one charge."""
    go = Event()

    def script(request: ChatRequest) -> Iterator[Any]:
        yield TextDelta("slow ")
        assert go.wait(LIMIT_S)
        yield TextDelta("answer")
        yield Stop("stop", Usage(3, 2))

    program.stand.provider.script = script
    named = {"extra_headers": {"Idempotency-Key": "one and the same" * 8}}
    stream = program.ask(stream=True, **named)
    next(iter(stream))
    stream.close()
    go.set()
    program.quiet()

    again, once_more = program.ask(**named), list(program.ask(stream=True, **named))

    assert again.choices[0].message.content == "slow answer"
    assert "".join(chunk.choices[0].delta.content or "" for chunk in once_more) == "slow answer"
    assert again.id == once_more[0].id
    assert len(program.stand.provider.requests) == 1
    assert [message["charged"] for message in _answers(program)] == [5]


def test_without_a_key_one_is_a_guest_where_guests_are_allowed(program: Program) -> None:
    """One an address: its calls share one quota, and nobody is given its token."""
    body = {"messages": HELLO}
    first, second = program.post(body), program.post(body)
    assert (first.status_code, second.status_code) == (200, 200)
    assert first.json()["model"] == "scripted"
    assert "Set-Cookie" not in first.headers
    users = {request.user for request in program.stand.provider.requests}
    assert len(users) == 1
    assert users != {program.identity.user_id}
    assert requests.get(f"{program.address}/v1/models", timeout=LIMIT_S).status_code == 200


def test_where_guests_are_not_allowed_a_key_is_asked_for(site_env: dict[str, str]) -> None:
    stand = Stand({**site_env, "ALLOW_GUESTS": "false"})
    try:
        for method, path in (("POST", "/v1/chat/completions"), ("GET", "/v1/models"), ("POST", "/v1/auth/guest")):
            answer = stand.site.client().open(path, method=method, json={"messages": HELLO})
            assert answer.status_code == 401, path
    finally:
        stand.site.close()


def _answers(program: Program) -> list[dict[str, Any]]:
    client, headers = program.stand.site.client(), program.headers
    (conversation,) = client.get("/v1/conversations", headers=headers).get_json()["conversations"]
    messages = client.get(f"/v1/conversations/{conversation['id']}/messages", headers=headers).get_json()["messages"]
    return [message for message in messages if message["role"] == "assistant"]


def test_a_model_that_sees_is_shown_pictures(program: Program) -> None:
    """Of the question and of what came before it; re-encoded, kept among the caller's, and named by their ids again."""
    program.stand.provider.card = replace(program.stand.provider.card, vision=True)
    shown = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{b64encode(picture()).decode()}"}}
    talk = [
        {"role": "user", "content": [{"type": "text", "text": "This?"}, shown]},
        {"role": "assistant", "content": "A red field."},
        {"role": "user", "content": [shown, {"type": "text", "text": "And this?"}]},
    ]
    assert program.post({"messages": talk}, **program.headers).status_code == 200
    messages = program.stand.provider.requests[-1].messages
    assert [(message.text, len(message.pictures)) for message in messages if message.role == "user"] == [
        ("This?", 1),
        ("And this?", 1),
    ]
    assert messages[-1].pictures[0].startswith("data:image/")
    with program.stand.services.uow.read() as session:
        (row,) = session.scalars(select(PictureRow))
        own = row.id
    shown["image_url"] = {"url": own}
    assert program.post({"messages": talk[2:]}, **program.headers).status_code == 200


@pytest.mark.parametrize(
    ("url", "vision", "param"),
    [
        ("https://example.com/cat.png", True, "messages[0].content[1].image_url.url"),
        ("file:///etc/passwd", True, "messages[0].content[1].image_url.url"),
        ("", True, "messages[0].content[1].image_url.url"),
        ("data:image/png;base64,%%%", True, "messages"),
        ("data:image/png;base64,aGVsbG8=", True, "messages"),
        ("p_none", True, "messages"),
        ("data:image/png;base64,aGVsbG8=", False, "messages"),
    ],
)
def test_a_picture_that_cannot_be_shown_is_refused_by_name(
    program: Program, url: str, vision: bool, param: str
) -> None:
    program.stand.provider.card = replace(program.stand.provider.card, vision=vision)
    parts = [{"type": "text", "text": "?"}, {"type": "image_url", "image_url": {"url": url}}]
    answer = program.post({"messages": [{"role": "user", "content": parts}]}, **program.headers)
    assert 400 <= answer.status_code < 500
    assert answer.json()["error"]["param"] == param
    assert program.stand.provider.requests == []
