"""A picture is known by its bytes, and refused by its header."""

from __future__ import annotations

import random
import struct
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.errors import TooLarge, UnsupportedMedia
from services.pictures.header import MAX_BYTES, Header, check
from tests.services.pictures.samples import animation, chunk, picture, png_of

KINDS = ("JPEG", "PNG", "GIF", "WEBP", "BMP")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", [(1, 1), (61, 43), (1_200, 17)])
def test_kind_and_size_are_read_off(kind: str, size: tuple[int, int]) -> None:
    """The same that a decoder finds."""
    assert check(picture(kind, size)) == Header(kind.lower(), *size)


@pytest.mark.parametrize("options", [{"lossless": True}, {"exif": b"Exif\0\0MM\0*\0\0\0\x08\0\0\0\0\0\0"}])
def test_every_form_of_webp_is_read(options: dict[str, object]) -> None:
    assert check(picture("WEBP", (33, 21), **options)) == Header("webp", 33, 21)


def test_a_progressive_jpeg_with_comments_before_its_size_is_read() -> None:
    data = picture("JPEG", (50, 30), progressive=True, comment=b"x" * 60_000)
    assert check(data) == Header("jpeg", 50, 30)


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG"])
def test_frames_are_counted(kind: str) -> None:
    assert check(animation(kind, 7)).frames == 7


@pytest.mark.parametrize(
    "data",
    [
        png_of(65_535, 65_535),
        png_of(10_000, 10_000),
        png_of(30_001, 2),
        png_of(20, 20, chunks=chunk(b"acTL", struct.pack(">II", 10_000, 0))),
        animation("GIF", 1_001, (4, 4)),
        picture("PNG") + bytes(MAX_BYTES),
    ],
    ids=["65535 squared", "100 megapixels", "a side", "animated png", "animated gif", "bytes"],
)
def test_what_is_too_large_is_refused_before_it_is_decoded(data: bytes) -> None:
    """Bytes, pixels and frames."""
    with pytest.raises(TooLarge):
        check(data)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"hello",
        b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>",
        b"%PDF-1.7 a picture named png",
        b"PK\x03\x04 a zip",
        b"II*\x00 a tiff",
        b"<!doctype html><img>",
        b"\x89PNG\r\n\x1a\n",
        b"\xff\xd8\xff",
        b"GIF89a",
        b"BM",
        b"RIFF\0\0\0\0WAVE",
        png_of(0, 5),
    ],
)
def test_what_is_no_picture_is_refused(data: bytes) -> None:
    with pytest.raises(UnsupportedMedia):
        check(data)


@given(st.sampled_from(KINDS), st.integers(0, 2**32))
def test_no_bytes_break_the_reader(kind: str, seed: int) -> None:
    """Cut, and with bytes changed: it is a header or a refusal."""
    rng = random.Random(seed)
    data = bytearray(picture(kind)[: rng.randrange(1, 900)])
    for _ in range(rng.randrange(6)):
        data[rng.randrange(len(data))] = rng.randrange(256)
    with suppress(TooLarge, UnsupportedMedia):
        check(bytes(data))
