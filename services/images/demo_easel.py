"""Draws the demo painter's placeholders. Runs in a `SideProcess`."""

from __future__ import annotations

import functools
import io
import textwrap
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw, ImageFont

_FONTS = (
    "/usr/share/fonts/opentype/noto/NotoSansCJK-Regular.ttc",
    "/usr/share/fonts/noto-cjk/NotoSansCJK-Regular.ttc",
    "/usr/share/fonts/google-noto-sans-cjk-fonts/NotoSansCJK-Regular.ttc",
    "/usr/share/fonts/truetype/wqy/wqy-microhei.ttc",
    "/usr/share/fonts/truetype/wqy/wqy-zenhei.ttc",
    "/usr/share/fonts/truetype/arphic/uming.ttc",
    "/System/Library/Fonts/PingFang.ttc",
    "/System/Library/Fonts/STHeiti Medium.ttc",
    "/System/Library/Fonts/Hiragino Sans GB.ttc",
    "C:/Windows/Fonts/msyh.ttc",
    "C:/Windows/Fonts/simhei.ttf",
)
"""Where the systems keep a font that has Chinese: Debian, Arch, Fedora, macOS, Windows."""
_LATIN = "DEMO DRAWING"
_CHINESE = "演示图片"
_NOTE = "A placeholder: no model drew this. Set DASHSCOPE_API_KEY for real pictures."
_CHINESE_NOTE = "这是占位图，并非模型所画；配置 DASHSCOPE_API_KEY 后即可真正作画。"
MOST_LINES = 6


def work(request: dict[str, Any], _: bytes) -> Iterator[tuple[dict[str, Any], bytes]]:
    """One PNG a reply."""
    for number in range(request["count"]):
        file = io.BytesIO()
        _draw(request, number).save(file, "PNG", compress_level=4)
        yield {}, file.getvalue()


def _draw(request: dict[str, Any], number: int) -> Image.Image:
    width, height = request["width"], request["height"]
    seed = bytes.fromhex(request["seed"])
    picture = _sky(width, height, seed, number)
    pen = ImageDraw.Draw(picture)
    for place in range(0, 24, 4):
        x, y = seed[place] * width // 255, (seed[place + 1] + 40 * number) % 256 * height // 255
        radius = (8 + seed[place + 2] // 8) * min(width, height) // 160
        colour = tuple(120 + byte // 2 for byte in seed[place : place + 3])
        pen.ellipse((x - radius, y - radius, x + radius, y + radius), fill=colour)
    _write(pen, width, height, request["prompt"], request["font"])
    return picture


def _sky(width: int, height: int, seed: bytes, number: int) -> Image.Image:
    """From one colour at the top to another at the bottom."""
    first, last = (tuple(90 + byte // 2 for byte in seed[at + number : at + number + 3]) for at in (20, 25))
    sky = Image.new("RGB", (1, 2))
    sky.putpixel((0, 0), first)
    sky.putpixel((0, 1), last)
    return sky.resize((width, height), Image.Resampling.BILINEAR)


def _write(pen: ImageDraw.ImageDraw, width: int, height: int, prompt: str, font_file: str) -> None:
    """What this is, and what was asked for, on a dark band that makes them readable on any colour."""
    size = max(min(width, height) // 18, 12)
    speaks_chinese = _font(font_file, size) is not None
    large, small = (_font(font_file, points) or ImageFont.load_default(points) for points in (size, size * 2 // 3))
    columns = max(int(width * 0.9 / (size * 2 / 3 * 0.55)), 8)
    title = f"{_LATIN} {_CHINESE}" if speaks_chinese else _LATIN
    notes = [_NOTE, _CHINESE_NOTE] if speaks_chinese else [_NOTE]
    shown = prompt if speaks_chinese else prompt.encode("ascii", "replace").decode()
    lines = [*_wrapped(shown, columns)[:MOST_LINES], *(line for note in notes for line in _wrapped(note, columns))]
    step = size * 9 // 10
    high = size * 2 + step * len(lines)
    top = max((height - high) // 2, 0)
    pen.rectangle((0, top, width, top + high), fill=(16, 18, 24))
    pen.text((width * 0.05, top + size * 0.3), title, font=large, fill=(255, 214, 90))
    for number, line in enumerate(lines):
        pen.text((width * 0.05, top + size * 1.7 + step * number), line, font=small, fill=(240, 240, 240))


def _wrapped(text: str, columns: int) -> list[str]:
    """Lines of so many columns; a Chinese character takes two and may stand at the end of any line."""
    lines: list[str] = []
    for paragraph in text.splitlines() or [""]:
        spaced = "".join(f"{char}\u200b" if unicodedata.east_asian_width(char) in "WF" else char for char in paragraph)
        if "\u200b" not in spaced:
            lines += textwrap.wrap(paragraph, columns) or [""]
            continue
        line, used = "", 0
        for char in paragraph:
            wide = 2 if unicodedata.east_asian_width(char) in "WF" else 1
            if used + wide > columns:
                lines.append(line)
                line, used = "", 0
            line, used = line + char, used + wide
        lines.append(line)
    return lines


@functools.cache
def _font(chosen: str, size: int) -> ImageFont.FreeTypeFont | None:
    """A font that has Chinese; None where the system has none, and Pillow's own Latin one must do."""
    for path in filter(None, (chosen, *_FONTS)):
        if Path(path).is_file():
            try:
                return ImageFont.truetype(path, size)
            except OSError:
                continue
    return None
