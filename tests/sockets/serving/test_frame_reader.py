from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sockets.serving.frame_reader import Control, FrameReader, WebSocketError, close_status, unmask
from tests.sockets.serving.raw_client import BINARY, CLOSE, PING, TEXT, masked


def reader(max_message_bytes: int = 100_000, max_fragments: int = 8) -> FrameReader:
    return FrameReader(max_message_bytes=max_message_bytes, max_fragments=max_fragments)


def fed_in_pieces(frames: FrameReader, data: bytes, size: int) -> list[object]:
    return [message for at in range(0, len(data), size) for message in frames.feed(data[at : at + size])]


@given(st.binary(max_size=10_000), st.binary(min_size=4, max_size=4))
def test_unmasking_is_the_rfc_s_byte_by_byte_xor(payload: bytes, key: bytes) -> None:
    assert unmask(payload, key) == bytes(byte ^ key[at % 4] for at, byte in enumerate(payload))


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1_000, 1_000_000])
def test_messages_do_not_depend_on_how_the_bytes_arrive(size: int) -> None:
    """Short, medium and long frames, fragments with a ping between them, several frames at once."""
    stream = (
        masked(TEXT, "春眠".encode())
        + masked(TEXT, b"", final=True)
        + masked(BINARY, bytes(300))
        + masked(TEXT, "不".encode()[:1], final=False)
        + masked(PING, b"alive")
        + masked(0, "不".encode()[1:], final=False)
        + masked(0, b"!")
        + masked(BINARY, b"x" * 70_000)
        + masked(CLOSE, b"\x03\xe8")
    )
    assert fed_in_pieces(reader(), stream, size) == [
        "春眠",
        "",
        bytes(300),
        Control(PING, b"alive"),
        "不!",
        b"x" * 70_000,
        Control(CLOSE, b"\x03\xe8"),
    ]


@pytest.mark.parametrize(
    ("stream", "code"),
    [
        pytest.param(b"\x81\x05hello", 1002, id="no mask"),
        pytest.param(masked(TEXT, b"x", reserved=4), 1002, id="compressed without leave"),
        pytest.param(masked(3, b"x"), 1002, id="unknown data opcode"),
        pytest.param(masked(11, b"x"), 1002, id="unknown control opcode"),
        pytest.param(masked(PING, b"x" * 126), 1002, id="long ping"),
        pytest.param(masked(PING, b"x", final=False), 1002, id="fragmented ping"),
        pytest.param(masked(0, b"x"), 1002, id="continuation of nothing"),
        pytest.param(masked(TEXT, b"x", final=False) + masked(TEXT, b"y"), 1002, id="message inside a message"),
        pytest.param(masked(TEXT, b"", announced=2**31)[:10], 1009, id="2 GB announced, header only"),
        pytest.param(masked(TEXT, b"", announced=2**63 + 5)[:10], 1009, id="longer than any length"),
        pytest.param(masked(TEXT, b"x" * 60_000, final=False) + masked(0, b"x" * 60_000), 1009, id="sum of fragments"),
        pytest.param(masked(TEXT, b"", final=False) + masked(0, b"", final=False) * 100, 1008, id="empty fragments"),
        pytest.param(masked(TEXT, b"\xff"), 1007, id="no UTF-8"),
        pytest.param(masked(TEXT, b"\xed\xa0\x80"), 1007, id="a surrogate"),
        pytest.param(masked(TEXT, b"ab\xc3\x28", final=False), 1007, id="no UTF-8, seen before the message is whole"),
        pytest.param(masked(TEXT, b"\xe6", final=False) + masked(0, b""), 1007, id="cut in a character"),
    ],
)
@pytest.mark.parametrize("size", [1, 100_000])
def test_a_broken_stream_is_refused_with_its_close_code(stream: bytes, code: int, size: int) -> None:
    with pytest.raises(WebSocketError) as refusal:
        fed_in_pieces(reader(), stream, size)
    assert refusal.value.code == code


def test_nothing_beyond_the_limit_is_kept() -> None:
    """A frame as large as the limit is taken, whole; one byte more is refused before any of it came."""
    assert reader(max_message_bytes=70_000).feed(masked(BINARY, bytes(70_000))) == [bytes(70_000)]
    with pytest.raises(WebSocketError):
        reader(max_message_bytes=69_999).feed(masked(BINARY, bytes(70_000))[:14])


@pytest.mark.parametrize(
    ("payload", "expected"),
    [(b"", (1005, "")), (b"\x03\xe8", (1000, "")), (b"\x03\xe9bye", (1001, "bye")), (b"\x0f\xa0", (4000, ""))],
)
def test_close_frames_that_may_be_sent(payload: bytes, expected: tuple[int, str]) -> None:
    assert close_status(payload) == expected


@pytest.mark.parametrize(
    ("payload", "code"),
    [(b"\x03", 1002)]
    + [(bad.to_bytes(2, "big"), 1002) for bad in (0, 999, 1004, 1005, 1006, 1015, 1016, 2000, 2999, 5000, 65535)]
    + [(b"\x03\xe8\xff", 1007)],
)
def test_close_frames_that_may_not(payload: bytes, code: int) -> None:
    with pytest.raises(WebSocketError) as refusal:
        close_status(payload)
    assert refusal.value.code == code
