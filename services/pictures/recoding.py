"""Decodes a picture and writes it anew: upright, its first frame, nothing but its pixels. Runs in a `SideProcess`."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator
from typing import Any

from PIL import Image, ImageFile, ImageOps, UnidentifiedImageError

from services.errors import TooLarge, UnsupportedMedia
from services.pictures.header import MAX_BYTES, MAX_PIXELS, check

JPEG_QUALITY = 90
_KINDS = {"jpeg": "JPEG", "png": "PNG", "gif": "GIF", "webp": "WEBP", "bmp": "BMP"}
_BROKEN = "This picture is broken or cut off."

Image.MAX_IMAGE_PIXELS = None  # the header was checked against our own limit
ImageFile.LOAD_TRUNCATED_IMAGES = False


def work(request: dict[str, Any], data: bytes) -> Iterator[tuple[dict[str, Any], bytes]]:
    """The one reply: `{type, width, height}` and the new file, a PNG or a JPEG.

    The request may bring `max_side` and `max_bytes`: the picture is made smaller until it keeps to both.
    """
    header = check(data)
    picture = _decoded(data, _KINDS[header.kind])
    max_bytes = request.get("max_bytes", MAX_BYTES)
    if (max_side := request.get("max_side", 0)) and max(picture.size) > max_side:
        picture.thumbnail((max_side, max_side))
    kind, encoded = _encoded(picture, max_bytes, was_lossy=header.kind == "jpeg")
    while len(encoded) > max_bytes:
        picture.thumbnail((picture.width * 3 // 4, picture.height * 3 // 4))
        kind, encoded = _encoded(picture, max_bytes, was_lossy=True)
    yield {"type": kind, "width": picture.width, "height": picture.height}, encoded


def _decoded(data: bytes, format: str) -> Image.Image:
    try:
        with warnings.catch_warnings(action="ignore"), Image.open(io.BytesIO(data), formats=[format]) as opened:
            if opened.width * opened.height > MAX_PIXELS:  # a second size, behind the one that was checked
                raise TooLarge("This picture has two sizes, and one is too large.", field="picture")
            opened.seek(0)
            opened.load()
            upright = ImageOps.exif_transpose(opened)
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError, EOFError, KeyError) as error:
        raise UnsupportedMedia(_BROKEN, field="picture") from error
    return _plain(upright)


def _plain(picture: Image.Image) -> Image.Image:
    """The pixels alone, in a mode that both formats write: grey, colour, or colour with transparency."""
    if picture.mode in ("L", "RGB", "RGBA"):
        mode = picture.mode
    elif picture.has_transparency_data:
        mode = "RGBA"
    elif picture.mode in ("1", "I", "I;16", "F"):
        mode = "L"
    else:
        mode = "RGB"
    if picture.mode in ("I", "I;16", "F"):
        picture = _in_eight_bits(picture)
    plain = picture if picture.mode == mode else picture.convert(mode)
    plain.info = {}
    return plain


def _in_eight_bits(picture: Image.Image) -> Image.Image:
    """Sixteen bits a pixel as eight: `convert` would cut them off at white."""
    highest = picture.getextrema()[1]
    top = 65_535 if isinstance(highest, float | int) and highest > 255 else 255
    return picture.convert("F").point(lambda value: value * (255 / top)).convert("L")


def _encoded(picture: Image.Image, max_bytes: int, *, was_lossy: bool) -> tuple[str, bytes]:
    if not was_lossy:
        png = _saved(picture, "PNG", compress_level=4)
        if len(png) <= max_bytes:
            return "image/png", png
    return "image/jpeg", _saved(_on_white(picture), "JPEG", quality=JPEG_QUALITY)


def _on_white(picture: Image.Image) -> Image.Image:
    if picture.mode != "RGBA":
        return picture
    white = Image.new("RGB", picture.size, "white")
    white.paste(picture, mask=picture.getchannel("A"))
    return white


def _saved(picture: Image.Image, format: str, **options: Any) -> bytes:
    file = io.BytesIO()
    picture.save(file, format, **options)
    return file.getvalue()
