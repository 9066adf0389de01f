"""Server-sent events out of bytes cut anywhere."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.wire.sse import MAX_EVENT_BYTES, SseError, SseReader

MIXED = (
    b"\xef\xbb\xbf: hello\r\n\r\n"
    b'data: {"text":"\xe5\xba\x8a\xe2\x80\xa8\xc2\x85\xf0\x9f\x98\x80"}\n\n'
    b"event: news\nid: 7\nretry: 10\ndata:one\ndata: two\r\n\r\n"
    b"data: three\r\r"
    b"data\n\n"
    b":\n\n"
    b"data:  spaced\n\n"
    b"data: [DONE]\n"
)
EVENTS = [
    '{"text":"床\u2028\u0085😀"}'.encode(),
    b"one\ntwo",
    b"three",
    b" spaced",
    b"[DONE]",
]


def read(*chunks: bytes) -> list[bytes]:
    reader = SseReader()
    return [event for chunk in chunks for event in reader.feed(chunk)] + reader.close()


@pytest.mark.parametrize("size", range(1, 40))
def test_events_are_the_same_however_the_bytes_are_cut(size: int) -> None:
    """Inside a character, a CRLF, a field name or the byte order mark."""
    assert read(*(MIXED[at : at + size] for at in range(0, len(MIXED), size))) == EVENTS


@given(st.lists(st.integers(0, len(MIXED)), max_size=8))
def test_events_are_the_same_for_any_cuts(cuts: list[int]) -> None:
    """Pieces of any length, empty ones too."""
    points = [0, *sorted(cuts), len(MIXED)]
    assert read(*(MIXED[a:b] for a, b in itertools.pairwise(points))) == EVENTS


def test_an_event_is_given_with_the_chunk_that_ends_it() -> None:
    """Nothing waits for the next chunk, whatever ends the lines; several events may come at once."""
    reader = SseReader()
    assert reader.feed(b"data: 1\n\n") == [b"1"]
    assert reader.feed(b"data: 2\n\ndata: 3\n\n") == [b"2", b"3"]
    assert reader.feed(b"data: 4\r\n\r\n") == [b"4"]
    assert reader.feed(b"data: 5\r\r") == [b"5"]
    assert reader.feed(b"data: 6\n\n") == [b"6"]
    assert reader.feed(b": comment\n\ndata: 7\ndata: 8\n\n") == [b"7\n8"]
    assert reader.feed(b"data: 9\n") == []
    assert reader.feed(b"\n") == [b"9"]
    assert reader.close() == []


def test_a_line_is_bounded() -> None:
    """A megabyte is the limit for a line, and for the lines of one event together."""
    reader = SseReader()
    whole = b"x" * (MAX_EVENT_BYTES - 100)
    assert reader.feed(b"data: " + whole + b"\n\n") == [whole]
    with pytest.raises(SseError):
        read(b"data: " + b"x" * (MAX_EVENT_BYTES + 1) + b"\n\n", b"")
    with pytest.raises(SseError):
        read(*[b"x" * 65_536] * 17)
    with pytest.raises(SseError):
        read(*[b"data: " + b"x" * 65_536 + b"\n"] * 17)


def test_many_comments_take_no_room() -> None:
    """Lines that carry nothing are forgotten at once."""
    reader = SseReader()
    for _ in range(30):
        assert reader.feed(b": " + b"x" * 65_536 + b"\n") == []
    assert reader.feed(b"data: end\n\n") == [b"end"]
