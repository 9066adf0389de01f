"""The demo model's answers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

import config
from services.errors import VendorOverloaded
from services.events import ReasoningDelta, Stop, TextDelta
from services.providers import demo
from services.providers.base import ChatMessage, ChatRequest
from services.providers.demo_script import FAILS_MIDWAY_AFTER, read_request, split


@pytest.fixture(autouse=True)
def _fast(monkeypatch: pytest.MonkeyPatch) -> None:
    """The pace is for readers; tests take the answer as fast as it comes."""
    monkeypatch.setattr(demo, "PIECES_PER_S", 0)
    monkeypatch.setattr(demo, "SLOW_PIECES_PER_S", 0)


def ask(
    text: str, *, model: str = "demo", max_tokens: int | None = None, prefix: str = ""
) -> list[TextDelta | ReasoningDelta | Stop]:
    request = ChatRequest(model=model, messages=(ChatMessage("user", text),), max_tokens=max_tokens, prefix=prefix)
    return list(demo.Demo(demo.DemoSettings(benchmark_models=True)).stream(request))


def text_of(pieces: list[TextDelta | ReasoningDelta | Stop]) -> str:
    return "".join(piece.text for piece in pieces if isinstance(piece, TextDelta))


def test_an_answer_says_what_it_is_in_the_language_of_the_question() -> None:
    """Both tell how to add a key; the same question gives the same pieces, exactly counted."""
    english, chinese = ask("Hello there"), ask("你好，世界")
    assert "demo model" in text_of(english)
    assert ".env" in text_of(english)
    assert "Hello there" in text_of(english)
    assert "演示模型" in text_of(chinese)
    assert "DASHSCOPE_API_KEY" in text_of(chinese)
    assert english == ask("Hello there")
    stop = english[-1]
    assert isinstance(stop, Stop)
    assert stop.usage is not None
    assert (stop.reason, stop.usage.completion_tokens, stop.usage.prompt_tokens) == ("stop", len(english) - 1, 2)


@pytest.mark.parametrize(
    ("question", "mark"),
    [
        ("show me a table", "| ---: |"),
        ("来一个表格", "| 序号 |"),
        ("code please", "```python"),
        ("写段代码", "```python"),
        ("a formula", "$$x_{1,2}"),
        ("公式", "$$x_{1,2}"),
        ("Markdown", "> A quotation."),
        ("a long text", "Section 40"),
        ("长文", "第 40 节"),
        ("echo 床前明月光", "床前明月光"),
        ("复述 hello world", "hello world"),
    ],
)
def test_request_words_are_understood(question: str, mark: str) -> None:
    """Chinese and English words choose what is shown."""
    assert mark in text_of(ask(question))


def test_reasoning_comes_before_the_answer() -> None:
    """It is told apart from the text."""
    pieces = ask("推理")
    kinds = [type(piece) for piece in pieces]
    assert kinds[0] is ReasoningDelta
    assert kinds[-1] is Stop
    assert kinds.index(TextDelta) == kinds.count(ReasoningDelta)


@pytest.mark.parametrize("question", ["error", "错误", "please fail"])
def test_it_fails_before_the_first_piece_on_request(question: str) -> None:
    """A short wish for an error is granted at once."""
    with pytest.raises(VendorOverloaded):
        ask(question)


@pytest.mark.parametrize("question", ["error midway", "中途错误"])
def test_it_fails_midway_on_request(question: str) -> None:
    """Some pieces come first."""
    seen: list[object] = []
    request = ChatRequest(model="demo", messages=(ChatMessage("user", question),))
    with pytest.raises(VendorOverloaded):
        seen.extend(demo.Demo(demo.DemoSettings()).stream(request))
    assert len(seen) == FAILS_MIDWAY_AFTER


@pytest.mark.parametrize("question", ["What is a segmentation error?", "这个错误是什么意思", "how do I fix this error"])
def test_a_question_about_errors_is_answered(question: str) -> None:
    """Speaking of an error is not asking for one."""
    assert read_request(question).fails_after is None


def test_max_tokens_cuts_the_answer() -> None:
    """The length is reported as the reason, and only what was sold is counted."""
    *pieces, stop = ask("hello", max_tokens=5)
    assert len(pieces) == 5
    assert isinstance(stop, Stop)
    assert stop.reason == "length"
    assert stop.usage
    assert stop.usage.completion_tokens == 5


@pytest.mark.parametrize("shown", [1, 7, 40])
def test_it_goes_on_from_a_prefix(shown: int) -> None:
    """What was shown already is not said again, and nothing is left out."""
    whole = [piece.text for piece in ask("a table please") if isinstance(piece, TextDelta)]
    prefix = "".join(whole[:shown])
    assert prefix + text_of(ask("a table please", prefix=prefix)) == "".join(whole)


def test_the_benchmark_streams_what_was_asked_for() -> None:
    """So many pieces of such a size; each can be told from its neighbours; absurd wishes are bounded."""
    *pieces, stop = ask("pieces=30 rate=0 size=4", model="benchmark")
    assert [piece.text for piece in pieces if isinstance(piece, TextDelta)] == [f"{n:03d} " for n in range(30)]
    assert isinstance(stop, Stop)
    assert stop.usage
    assert stop.usage.completion_tokens == 30
    assert len(ask("pieces=2 rate=0 size=999999", model="benchmark")[0].text) == 4_000  # type: ignore[union-attr]


def test_the_benchmark_is_listed_only_on_request() -> None:
    """An ordinary server offers one demo model."""
    listed = demo.Demo(config.read(demo.DemoSettings, {})).models()
    assert [card.id for card in listed] == ["demo"]
    listed = demo.Demo(config.read(demo.DemoSettings, {"BENCHMARK_MODELS": "1"})).models()
    assert [card.id for card in listed] == ["demo", "benchmark"]


@given(st.text())
def test_pieces_join_to_the_text(text: str) -> None:
    """Nothing is lost or empty."""
    pieces = list(split(text))
    assert "".join(pieces) == text
    assert all(pieces)
