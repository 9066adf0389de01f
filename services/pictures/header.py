"""What a picture's first bytes say: its kind, its size and its frames, read without decoding anything. Pure.

Sources: PNG (W3C, third edition, 5 and 11.2.1), JPEG (ITU-T T.81, B.2), GIF89a (18 to 23), WebP (RFC 9649, 2.3 to 2.7),
BMP (Microsoft, BITMAPINFOHEADER).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from services.errors import TooLarge, UnsupportedMedia

MAX_BYTES = 10 * 1_048_576
MAX_PIXELS = 40_000_000
MAX_SIDE = 30_000
MAX_FRAMES = 1_000

_PNG = b"\x89PNG\r\n\x1a\n"
_JPEG_SIZES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}  # start of frame, of every coding
_JPEG_BARE = frozenset({0x01, *range(0xD0, 0xD9)})  # markers without a length


@dataclass(frozen=True, slots=True)
class Header:
    """What a picture says of itself.

    Attributes:
        kind: `jpeg`, `png`, `gif`, `webp` or `bmp`.
        frames: Of an animation, as far as they were counted; 1 for a still picture.
    """

    kind: str
    width: int
    height: int
    frames: int = 1


def check(data: bytes, *, field: str = "picture") -> Header:
    """The header of a picture that may be decoded.

    Raises:
        UnsupportedMedia: Not a picture of a kind that is read here, or its header is broken.
        TooLarge: More bytes, pixels or frames than allowed.
    """
    if len(data) > MAX_BYTES:
        raise TooLarge(f"A picture has at most {MAX_BYTES // 1_048_576} MB.", field=field)
    try:
        header = _read(data)
    except (struct.error, IndexError):
        header = None
    if header is None or header.width < 1 or header.height < 1:
        raise UnsupportedMedia("This is not a JPEG, PNG, WebP, GIF or BMP picture.", field=field)
    if max(header.width, header.height) > MAX_SIDE or header.width * header.height > MAX_PIXELS:
        raise TooLarge(f"A picture has at most {MAX_PIXELS // 1_000_000} megapixels.", field=field)
    if header.frames > MAX_FRAMES:
        raise TooLarge(f"An animation has at most {MAX_FRAMES} frames.", field=field)
    return header


def _read(data: bytes) -> Header | None:
    if data.startswith(_PNG):
        return _read_png(data)
    if data.startswith(b"\xff\xd8\xff"):
        return _read_jpeg(data)
    if data[:6] in (b"GIF87a", b"GIF89a"):
        return _read_gif(data)
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return _read_webp(data)
    if data[:2] == b"BM":
        return _read_bmp(data)
    return None


def _read_png(data: bytes) -> Header | None:
    if data[12:16] != b"IHDR":
        return None
    width, height = struct.unpack_from(">II", data, 16)
    frames, at = 1, 8
    while at + 8 <= len(data):
        length, name = struct.unpack_from(">I4s", data, at)
        if name == b"acTL":  # an animation says so before its first frame
            frames = struct.unpack_from(">I", data, at + 8)[0]
        if name == b"IDAT":
            break
        at += 12 + length
    return Header("png", width, height, frames)


def _read_jpeg(data: bytes) -> Header | None:
    at = 2
    while at + 4 <= len(data):
        if data[at] != 0xFF:
            return None
        marker = data[at + 1]
        if marker == 0xFF:  # padding
            at += 1
        elif marker in _JPEG_BARE:
            at += 2
        elif marker in _JPEG_SIZES:
            height, width = struct.unpack_from(">HH", data, at + 5)
            return Header("jpeg", width, height)
        elif marker == 0xDA:  # the data begin, and no size has come
            return None
        else:
            at += 2 + max(int.from_bytes(data[at + 2 : at + 4], "big"), 2)
    return None


def _read_gif(data: bytes) -> Header | None:
    width, height, flags = struct.unpack_from("<HHB", data, 6)
    at = 13 + _colours(flags)
    frames = 0
    while at < len(data) and frames <= MAX_FRAMES:
        if data[at] == 0x21:  # an extension: its label, then blocks
            at = _after_blocks(data, at + 2)
        elif data[at] == 0x2C:
            left, top, wide, high, flags = struct.unpack_from("<HHHHB", data, at + 1)
            width, height = max(width, left + wide), max(height, top + high)
            frames += 1
            at = _after_blocks(data, at + 11 + _colours(flags))
        else:
            break
    return Header("gif", width, height, frames) if frames else None


def _colours(flags: int) -> int:
    """Bytes of the colour table that these flags announce."""
    return 3 * 2 ** ((flags & 7) + 1) if flags & 0x80 else 0


def _after_blocks(data: bytes, at: int) -> int:
    while at < len(data) and data[at]:
        at += 1 + data[at]
    return at + 1


def _read_webp(data: bytes) -> Header | None:
    width = height = frames = 0
    for name, start in _webp_chunks(data):
        if name == b"VP8X":
            width = 1 + int.from_bytes(data[start + 4 : start + 7], "little")
            height = 1 + int.from_bytes(data[start + 7 : start + 10], "little")
        elif name == b"ANMF":
            frames += 1
            if frames > MAX_FRAMES:
                break
        elif name == b"VP8 " and data[start + 3 : start + 6] == b"\x9d\x01\x2a":
            wide, high = struct.unpack_from("<HH", data, start + 6)
            width, height = max(width, wide & 0x3FFF), max(height, high & 0x3FFF)
        elif name == b"VP8L" and data[start] == 0x2F:
            bits = struct.unpack_from("<I", data, start + 1)[0]
            width, height = max(width, 1 + (bits & 0x3FFF)), max(height, 1 + (bits >> 14 & 0x3FFF))
    return Header("webp", width, height, max(frames, 1))


def _webp_chunks(data: bytes) -> Iterator[tuple[bytes, int]]:
    """Name and start of each chunk."""
    at = 12
    while at + 8 <= len(data):
        name, length = struct.unpack_from("<4sI", data, at)
        yield name, at + 8
        at += 8 + length + (length & 1)


def _read_bmp(data: bytes) -> Header | None:
    size = struct.unpack_from("<I", data, 14)[0]
    if size == 12:
        width, height = struct.unpack_from("<HH", data, 18)
    elif 40 <= size <= 124:
        width, height = struct.unpack_from("<ii", data, 18)
    else:
        return None
    return Header("bmp", width, abs(height))
