"""Frames of OpenAI's shape as events, in every dialect that was met."""

from __future__ import annotations

import json
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.errors import ContentBlocked, VendorError, VendorOverloaded
from services.events import ReasoningDelta, Stop, TextDelta, Usage
from services.providers.answer_reader import AnswerReader


def reader() -> AnswerReader:
    return AnswerReader(lambda frame: ContentBlocked(str(frame)))


def frame(delta: Any = None, finish: Any = None, **more: Any) -> bytes:
    return orjson.dumps({"choices": [{"index": 0, "delta": delta, "finish_reason": finish}], **more})


def play(*payloads: bytes) -> tuple[list[TextDelta | ReasoningDelta], Stop]:
    answer = reader()
    pieces = [piece for payload in payloads for piece in answer.read(payload)]
    return pieces, answer.stop()


FINAL = frame({}, "stop")


def test_text_reasoning_and_the_reason_are_told_apart() -> None:
    """Empty and absent contents are no pieces; the reason may come with the last text."""
    pieces, stop = play(
        frame({"role": "assistant", "content": ""}),
        frame({"reasoning_content": "hm", "content": None}),
        frame({"reasoning": "so", "content": ""}),
        frame({"reasoning_content": "same", "reasoning": "same"}),
        frame({"content": "床前"}),
        frame({"content": None}),
        frame(None),
        frame({"content": "明月光"}, "length"),
    )
    assert pieces == [
        ReasoningDelta("hm"),
        ReasoningDelta("so"),
        ReasoningDelta("same"),
        TextDelta("床前"),
        TextDelta("明月光"),
    ]
    assert stop == Stop("length", None)


@pytest.mark.parametrize(
    ("finish", "reason"),
    [
        ("stop", "stop"),
        ("length", "length"),
        ("content_filter", "content_filter"),
        ("tool_calls", "stop"),
        ("function_call", "stop"),
        ("a word of tomorrow", "stop"),
        (["odd"], "stop"),
    ],
)
def test_every_reason_means_an_end(finish: Any, reason: str) -> None:
    """An unknown one is taken as the end."""
    assert play(frame({"content": "a"}, finish))[1].reason == reason


@pytest.mark.parametrize("finish", ["insufficient_system_resource", "abort"])
def test_some_reasons_mean_a_broken_answer(finish: str) -> None:
    """The vendor ran out of something."""
    with pytest.raises(VendorOverloaded):
        play(frame({}, finish))


@pytest.mark.parametrize("last", [b"[DONE]", b" [DONE] ", frame({"content": "a"}), frame({}, "null"), frame({}, "")])
def test_an_answer_without_a_reason_is_broken(last: bytes) -> None:
    """Whatever came last, the end mark included."""
    with pytest.raises(VendorOverloaded):
        play(frame({"content": "a"}), last)


def test_what_comes_after_the_end_changes_nothing() -> None:
    """A second final frame, more text, an error, rubbish: the answer is whole."""
    pieces, stop = play(
        frame({"content": "a"}),
        FINAL,
        frame({"content": "late"}, "length"),
        b'{"error": {"message": "late"}}',
        b'{"cut',
        b"[DONE]",
    )
    assert (pieces, stop.reason) == ([TextDelta("a")], "stop")


@pytest.mark.parametrize(
    "usages",
    [
        [{"choices": [], "usage": {"prompt_tokens": 9, "completion_tokens": 3}}],
        [{"choices": None, "usage": {"prompt_tokens": 9, "completion_tokens": 3, "total_tokens": 12}}],
        [{"usage": {"prompt_tokens": 9, "completion_tokens": n}} for n in (1, 2, 3)],
        [{"usage": {"prompt_tokens": 9, "completion_tokens": 3}}, {"choices": [], "usage": None}, {"usage": {}}],
    ],
)
def test_the_last_count_is_kept(usages: list[dict[str, Any]]) -> None:
    """Wherever the vendor puts it; cumulative counts are never added up."""
    _, stop = play(frame({"content": "a"}), FINAL, *map(orjson.dumps, usages))
    assert stop.usage == Usage(9, 3)


@pytest.mark.parametrize(
    "usage",
    [
        {"prompt_tokens": -1, "completion_tokens": 3},
        {"prompt_tokens": 9, "completion_tokens": -3},
        {"prompt_tokens": 9, "completion_tokens": 10**12},
        {"prompt_tokens": 9, "completion_tokens": "3"},
        {"prompt_tokens": 9, "completion_tokens": 3.5},
        {"prompt_tokens": True, "completion_tokens": True},
        {"prompt_tokens": 0, "completion_tokens": 0},
        {"prompt_tokens": 9, "completion_tokens": 0},
        {"prompt_tokens": 9},
        [9, 3],
    ],
)
def test_a_count_that_cannot_be_true_is_not_believed(usage: Any) -> None:
    """Then there is none, and we count ourselves."""
    assert play(frame({"content": "a"}), FINAL, orjson.dumps({"choices": [], "usage": usage}))[1].usage is None


def test_a_refusal_is_text_and_ends_as_filtered() -> None:
    """What the model says in place of an answer is shown."""
    pieces, stop = play(frame({"refusal": "I can"}), frame({"refusal": "not."}), FINAL)
    assert (pieces, stop.reason) == ([TextDelta("I can"), TextDelta("not.")], "content_filter")
    pieces, stop = play(frame({"content": "yes", "refusal": None}), FINAL)
    assert (pieces, stop.reason) == ([TextDelta("yes")], "stop")


@pytest.mark.parametrize(
    "error", [b'{"error": {"message": "x"}}', b'{"error": "x"}', b'{"object": "error", "message": "x"}']
)
def test_an_error_inside_the_stream_is_raised(error: bytes) -> None:
    """In each of the shapes it was met in; `error: null` is none."""
    with pytest.raises(ContentBlocked):
        play(frame({"content": "a"}), error)
    assert play(frame({"content": "a"}, error=None), FINAL)[0] == [TextDelta("a")]


def test_broken_text_is_repaired_and_the_stream_goes_on() -> None:
    """Bytes that are no UTF-8 and halves of surrogate pairs become the replacement character."""
    pieces, _ = play(
        b'{"choices":[{"delta":{"content":"a\xffb"}}]}',
        rb'{"choices":[{"delta":{"content":"c\ud83dd"}}]}',
        rb'{"choices":[{"delta":{"content":"\ud83d\ude00"}}]}',
        frame({"content": "ok"}),
        FINAL,
    )
    assert [piece.text for piece in pieces] == ["a\ufffdb", "c\ufffdd", "😀", "ok"]


def test_events_without_blank_lines_between_them_are_read() -> None:
    """Lines that do not make one JSON text together are taken one by one."""
    joined = b"\n".join([frame({"content": "a"}), frame({"content": "b"}), FINAL, b"[DONE]"])
    assert play(joined)[0] == [TextDelta("a"), TextDelta("b")]
    pretty = json.dumps(json.loads(frame({"content": "a"})), indent=1).encode()
    assert play(pretty, FINAL)[0] == [TextDelta("a")]


@pytest.mark.parametrize("payload", [b'{"choices":[{"delta":{"content":"a', b"<html>", b"[" * 50_000, b"1" * 5000])
def test_what_cannot_be_read_breaks_the_answer(payload: bytes) -> None:
    """With one of our errors, whatever it is."""
    with pytest.raises(VendorOverloaded):
        play(payload)


def test_an_answer_in_one_body_is_read() -> None:
    """For servers that do not stream."""
    answer = reader()
    body = b'\n\n{"choices":[{"message":{"content":"a","reasoning_content":"r"},"finish_reason":"stop"}],"usage":null}'
    assert answer.read_whole(body) == [ReasoningDelta("r"), TextDelta("a")]
    assert answer.stop() == Stop("stop", None)
    for odd in (b"<html>", b"[]", b'{"choices": "no"}', b'{"choices": [1]}'):
        with pytest.raises(VendorError):
            reader().read_whole(odd)


_NAMES = ("choices", "delta", "content", "finish_reason", "usage", "prompt_tokens", "refusal", "reasoning")
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(st.sampled_from(_NAMES), inner, max_size=4),
    max_leaves=12,
)


@given(st.lists(_JSON, max_size=4))
def test_no_json_makes_anything_but_events_or_our_errors(frames: list[Any]) -> None:
    """Vendors send what they like."""
    answer = reader()
    try:
        for value in frames:
            for piece in answer.read(json.dumps(value).encode()):
                assert piece.text
        answer.stop()
    except VendorError:
        pass
