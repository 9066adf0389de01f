"""The chunked coding, cut anywhere."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.wire.chunked import ChunkedBody, ChunkedError

CODED = b"5;name=value\r\nhello\r\n1\r\n,\r\n00A\r\n 0123\r\n78\n\r\n0\r\nX-Sum: 1\r\n\r\n"
PLAIN = b"hello, 0123\r\n78\n"


@given(st.lists(st.integers(0, len(CODED)), max_size=12))
def test_the_body_is_the_same_however_it_is_cut(cuts: list[int]) -> None:
    """Extensions and trailers are dropped; line ends inside a chunk are its content."""
    points = [0, *sorted(cuts), len(CODED)]
    body = ChunkedBody()
    parts = [body.feed(CODED[a:b]) for a, b in itertools.pairwise(points)]
    assert (b"".join(parts), body.done, body.rest) == (PLAIN, True, b"")


def test_a_chunk_in_one_segment_is_given_at_once() -> None:
    """So is the part of a chunk that has come."""
    body = ChunkedBody()
    assert body.feed(b"3\r\nabc\r\n") == b"abc"
    assert body.feed(b"6\r\nde") == b"de"
    assert body.feed(b"f123\r\n1\r\nx\r\n") == b"f123x"
    assert not body.done


def test_what_follows_the_end_is_told() -> None:
    """A connection with bytes beyond the body must not be used again."""
    body = ChunkedBody()
    assert body.feed(b"1\r\na\r\n0\r\n\r\nHTTP/1.1") == b"a"
    assert (body.done, body.rest) == (True, b"HTTP/1.1")


@pytest.mark.parametrize(
    "coded",
    [
        b"zz\r\nabc\r\n",
        b"-3\r\nabc\r\n",
        b"0x3\r\nabc\r\n",
        b"3\r\nabcd\r\n",
        b"\r\n",
        b"<html>\r\n",
        b"5" * 5000,
    ],
)
def test_bytes_that_are_not_chunked_are_refused(coded: bytes) -> None:
    """Sizes that are no hexadecimal number, chunks longer than they say, heads without an end."""
    with pytest.raises(ChunkedError):
        ChunkedBody().feed(coded)
