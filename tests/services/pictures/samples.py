"""Pictures made for tests: good ones of every kind, and headers that promise what no bytes keep."""

from __future__ import annotations

import io
import struct
import zlib
from typing import Any

from PIL import Image


def picture(kind: str = "PNG", size: tuple[int, int] = (60, 40), **options: Any) -> bytes:
    """A red field with a blue left upper corner, so that it can be told which way up it is."""
    image = Image.new("RGB", size, (220, 30, 30))
    image.paste((30, 30, 220), (0, 0, size[0] // 3, size[1] // 3))
    return saved(image, kind, **options)


def saved(image: Image.Image, kind: str, **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def animation(kind: str, frames: int, size: tuple[int, int] = (20, 10)) -> bytes:
    colours = [(index * 83 % 256, index // 256 * 60, index * 131 % 256) for index in range(frames)]
    images = [Image.new("RGB", size, colour) for colour in colours]
    return saved(images[0], kind, save_all=True, append_images=images[1:], duration=20)


def png_of(width: int, height: int, *, chunks: bytes = b"") -> bytes:
    """A PNG whose header says so, with a row or two of data: what a bomb looks like before it is decoded."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunks + chunk(b"IDAT", zlib.compress(bytes(9_000))) + IEND
    )


def chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


IEND = chunk(b"IEND", b"")


def bomb_png(width: int, height: int) -> bytes:
    """A whole PNG of one colour: a few kilobytes that decode to `width * height * 3`."""
    packer = zlib.compressobj(9)
    rows = b"".join(packer.compress(bytes(1 + 3 * width)) for _ in range(height)) + packer.flush()
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + IEND


def opened(data: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(data))
    image.load()
    return image
