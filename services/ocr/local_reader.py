"""Finds and reads the lines of a picture with RapidOCR (PP-OCR on ONNX). Runs in a `SideProcess`."""

from __future__ import annotations

import functools
import io
import os
from collections.abc import Iterator
from typing import Any

from PIL import Image

FIRST_LINES, MORE_LINES = 2, 6
"""Read together: few at first, so that something is seen soon, then as many as the model takes at a time."""
LEAST_SCORE = 0.5
THREADS = min(os.cpu_count() or 1, 4)


def work(_: dict[str, Any], data: bytes) -> Iterator[tuple[dict[str, Any], bytes]]:
    """One reply for each line, from the top: `{text, box, score}`."""
    try:
        yield from ((line, b"") for line in _lines(_pixels(data)))
    except Exception as error:
        if "alloc" in str(error).lower() or "memory" in str(error).lower():
            raise MemoryError from error
        raise


@functools.cache
def _engine() -> Any:
    """Loads the models at their first use; they are part of the package, nothing is downloaded."""
    from rapidocr import RapidOCR

    return RapidOCR(
        params={"Global.log_level": "critical", "EngineConfig.onnxruntime.intra_op_num_threads": THREADS}
    )


def _pixels(data: bytes) -> Any:
    """Rows of blue, green and red, as the models were trained with; what is transparent is white."""
    import numpy

    with Image.open(io.BytesIO(data)) as picture:
        if picture.mode == "RGBA":
            white = Image.new("RGB", picture.size, "white")
            white.paste(picture, mask=picture.getchannel("A"))
            return numpy.ascontiguousarray(numpy.asarray(white)[:, :, ::-1])
        return numpy.ascontiguousarray(numpy.asarray(picture.convert("RGB"))[:, :, ::-1])


def _lines(pixels: Any) -> Iterator[dict[str, Any]]:
    from rapidocr.main import RapidOCRError
    from rapidocr.utils.process_img import map_boxes_to_original

    engine = _engine()
    height, width = pixels.shape[:2]
    scaled, scaling = engine.preprocess_img(pixels)
    try:
        crops, found = engine.detect_and_crop(scaled, scaling)
    except RapidOCRError:
        return  # no text at all
    boxes = map_boxes_to_original(found.boxes, scaling, height, width)
    at = 0
    while at < len(crops):
        upto = at + (MORE_LINES if at else FIRST_LINES)
        upright, _ = engine.cls_and_rotate(crops[at:upto])
        read = engine.recognize_txt(upright)
        for text, score, box in zip(read.txts, read.scores, boxes[at:upto], strict=True):
            if text.strip() and score >= LEAST_SCORE:
                corners = [[round(float(x)), round(float(y))] for x, y in box]
                yield {"text": text, "box": corners, "score": round(float(score), 4)}
        at = upto
