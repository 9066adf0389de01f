"""What every vendor's reader promises: text, one ending, coded failures without the vendor's words, no second call."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from services.errors import ContentBlocked, VendorError, VendorOverloaded, VendorRefused
from services.events import Stop, TextDelta, Usage
from services.ocr.base import PictureReader, ReadRequest, Task
from services.ocr.iflytek import IflytekOcr, IflytekOcrSettings
from services.ocr.spark_picture import SparkPicture, SparkPictureSettings
from simulators.ocr import ANSWER, APP_ID, KEY, LINES, OcrSimulator
from simulators.spark_checks import SECRET
from tests.clocks import FakeClock
from tests.services.pictures.samples import picture

KINDS = ("iflytek", "spark")


class NoClock:
    def restart(self) -> None:
        """Nothing is limited here."""


@pytest.fixture
def vendor() -> Iterator[OcrSimulator]:
    with OcrSimulator() as simulator:
        yield simulator


def reader_of(kind: str, vendor: OcrSimulator, *, key: str = KEY, **options: Any) -> PictureReader:
    if kind == "iflytek":
        return IflytekOcr(IflytekOcrSettings(app_id=APP_ID, api_key=key, ocr_url=vendor.url), **options)
    settings = SparkPictureSettings(app_id=APP_ID, api_key=key, api_secret=SECRET, picture_url=vendor.picture_url)
    return SparkPicture(settings, **options)


def read(reader: PictureReader, task: Task = "ocr", kind: str = "PNG") -> tuple[str, Stop]:
    (card,) = reader.readers()
    data = picture(kind, (120, 80))
    *pieces, stop = reader.read(ReadRequest(card.vendor_model, task, f"image/{kind.lower()}", data), NoClock())
    reader.close()
    assert isinstance(stop, Stop)
    return "".join(piece.text for piece in pieces if isinstance(piece, TextDelta)), stop


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_text_recognition_gives_lines_with_their_places(vendor: OcrSimulator, kind: str) -> None:
    text, stop = read(reader_of("iflytek", vendor), kind=kind)
    assert text == "\n".join(LINES)
    assert stop.result == {
        "regions": [
            {"text": line, "box": [[10, y], [200, y], [200, y + 30], [10, y + 30]], "score": 0.9}
            for line, y in zip(LINES, (0, 40), strict=True)
        ]
    }


@pytest.mark.parametrize("task", ["ocr", "describe"])
def test_picture_understanding_streams_its_answer(vendor: OcrSimulator, task: Task) -> None:
    text, stop = read(reader_of("spark", vendor), task)
    assert (text, stop.reason, stop.usage) == ("".join(ANSWER), "stop", Usage(280, 7))
    assert stop.result == ({"regions": []} if task == "ocr" else None)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("code", "error"),
    [(11200, VendorRefused), (10013, ContentBlocked), (10114, VendorOverloaded), (11202, VendorOverloaded)],
)
def test_a_number_has_its_kind_and_is_not_asked_twice(
    vendor: OcrSimulator, kind: str, code: int, error: type[VendorError]
) -> None:
    vendor.code = code
    with pytest.raises(VendorError) as caught:
        read(reader_of(kind, vendor))
    assert type(caught.value) is error
    assert "secret" not in caught.value.message
    assert len(vendor.calls) == 1


@pytest.mark.parametrize("kind", KINDS)
def test_a_wrong_key_or_clock_is_refused(vendor: OcrSimulator, kind: str) -> None:
    with pytest.raises(VendorRefused):
        read(reader_of(kind, vendor, key="wrong"))
    with pytest.raises(VendorRefused):
        read(reader_of(kind, vendor, clock=FakeClock()))


@pytest.mark.parametrize(
    ("kind", "breaks"), [("iflytek", "html"), ("iflytek", "busy"), ("spark", "cut"), ("spark", "gap")]
)
def test_half_an_answer_is_none(vendor: OcrSimulator, kind: str, breaks: str) -> None:
    vendor.breaks = breaks
    with pytest.raises(VendorOverloaded):
        read(reader_of(kind, vendor))


def test_what_came_before_a_refusal_was_given(vendor: OcrSimulator) -> None:
    """The runner keeps it; the ending is the error."""
    vendor.code, vendor.after = 10014, 1
    asked = ReadRequest("imagev3", "describe", "image/png", picture("PNG", (120, 80)))
    reading = reader_of("spark", vendor).read(asked, NoClock())
    assert next(reading) == TextDelta(ANSWER[0])
    with pytest.raises(ContentBlocked):
        next(reading)


def test_without_keys_they_are_listed_but_not_available() -> None:
    for reader in (IflytekOcr(IflytekOcrSettings()), SparkPicture(SparkPictureSettings())):
        assert [card.available for card in reader.readers()] == [False]
