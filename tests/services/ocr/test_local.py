"""The local reader reads what is printed, Chinese and English, every character, and stays out of the server."""

from __future__ import annotations

from collections.abc import Iterator

import gevent
import pytest
from PIL import Image

from services.errors import TooLarge
from services.events import Stop, TextDelta
from services.ocr.base import ReadRequest
from services.ocr.local import LocalOcr, LocalOcrSettings
from tests.services.ocr.pages import LINES, page
from tests.services.pictures.samples import saved


class NoClock:
    def restart(self) -> None:
        """Nothing is limited here."""


@pytest.fixture(scope="module")
def reader() -> Iterator[LocalOcr]:
    reader = LocalOcr(LocalOcrSettings())
    yield reader
    reader.close()


def request_of(image: Image.Image, kind: str = "PNG") -> ReadRequest:
    return ReadRequest("rapidocr", "ocr", f"image/{kind.lower()}", saved(image, kind))


def read(reader: LocalOcr, request: ReadRequest) -> tuple[list[str], Stop]:
    *pieces, stop = reader.read(request, NoClock())
    assert isinstance(stop, Stop)
    return [piece.text for piece in pieces if isinstance(piece, TextDelta)], stop


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_every_character_is_read_and_found(reader: LocalOcr, kind: str) -> None:
    """A line of Chinese, an amount and a line of English; each with the place it stands at."""
    pieces, stop = read(reader, request_of(page(*LINES), kind))
    assert "".join(pieces) == "\n".join(LINES)
    assert stop.result is not None
    regions = stop.result["regions"]
    assert "\n".join(region["text"] for region in regions) == "".join(pieces)
    for number, region in enumerate(regions):
        (left, top), (right, _), (_, bottom), _ = region["box"]
        assert left < 60 < 230 < right < 900
        assert 88 * number < top < bottom < 30 + 88 * (number + 1)
        assert 0.8 < region["score"] <= 1


def test_lines_come_as_they_are_read(reader: LocalOcr) -> None:
    """Not all at the end: the first ones are there while others are still to be read."""
    many = [f"Line number {number} of this page" for number in range(14)]
    reading = reader.read(request_of(page(*many, size=30)), NoClock())
    first = next(reading)
    assert isinstance(first, TextDelta)
    assert first.text == many[0]
    assert reader.process.pid is not None
    reading.close()
    assert reader.process.pid is None, "whoever leaves ends the work"


def test_a_page_upside_down_or_transparent_is_read(reader: LocalOcr) -> None:
    turned = page("Upside down it stands").rotate(180)
    assert "".join(read(reader, request_of(turned))[0]) == "Upside down it stands"
    clear = Image.new("RGBA", (700, 120), (0, 0, 0, 0))
    ink = page("Ink on nothing").convert("L").crop((0, 0, 700, 120))
    clear.paste((0, 0, 0, 255), mask=ink.point(lambda value: 255 - value))
    assert "".join(read(reader, request_of(clear))[0]) == "Ink on nothing"


def test_a_picture_without_text_has_none(reader: LocalOcr) -> None:
    pieces, stop = read(reader, request_of(Image.new("L", (300, 200), 200)))
    assert (pieces, stop.result) == ([], {"regions": []})


def test_readings_at_once_do_not_mix(reader: LocalOcr) -> None:
    """One process, one picture at a time: each caller gets its own."""
    jobs = [gevent.spawn(read, reader, request_of(page(f"Picture {number} is mine"))) for number in range(4)]
    gevent.joinall(jobs, timeout=60, raise_error=True)
    assert ["".join(job.get()[0]) for job in jobs] == [f"Picture {number} is mine" for number in range(4)]


def test_what_does_not_fit_into_its_memory_is_told() -> None:
    """And the next picture is read again."""
    small = LocalOcr(LocalOcrSettings(memory_mb=768))
    try:
        with pytest.raises(TooLarge):
            read(small, request_of(Image.effect_noise((2_000, 2_000), 90)))
        assert "".join(read(small, request_of(page("Still here", "", "", "", width=500)))[0]) == "Still here"
    finally:
        small.close()


def test_without_its_packages_it_is_listed_but_not_available() -> None:
    reader = LocalOcr(LocalOcrSettings(), installed=lambda: False)
    assert [card.available for card in reader.readers()] == [False]
    reader.close()
