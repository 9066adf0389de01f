"""Pages drawn for readers, in a font that has Chinese."""

from __future__ import annotations

import functools
import subprocess

from PIL import Image, ImageDraw, ImageFont

LINES = ("实时聊天服务器", "¥1,234.56", "Real-time chat, token by token.")


@functools.cache
def chinese_font() -> tuple[str, int]:
    """File and index of a font with simplified Chinese, as fontconfig knows it (Debian: fonts-noto-cjk)."""
    pattern = "sans:lang=zh-cn"
    found = subprocess.run(
        ["fc-match", "-f", "%{file}\n%{index}", pattern], capture_output=True, text=True, check=True
    ).stdout.split("\n")
    return found[0], int(found[1])


def page(*lines: str, size: int = 44, width: int = 900) -> Image.Image:
    """Black lines on white."""
    file, index = chinese_font()
    font = ImageFont.truetype(file, size, index=index)
    image = Image.new("RGB", (width, 60 + 2 * size * len(lines)), "white")
    pen = ImageDraw.Draw(image)
    for number, line in enumerate(lines):
        pen.text((40, 30 + 2 * size * number), line, font=font, fill="black")
    return image
