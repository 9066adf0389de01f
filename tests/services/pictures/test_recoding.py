"""What is kept of a picture: its pixels, upright; done by a process of its own with a bounded memory."""

from __future__ import annotations

from collections.abc import Iterator

import gevent
import pytest
from PIL import Image

from services.errors import ChatError, TooLarge, UnsupportedMedia
from services.pictures.header import MAX_BYTES
from services.wire.side_process import SideProcess
from tests.services.pictures.samples import animation, bomb_png, opened, picture, saved

MEMORY_MB = 1_024


@pytest.fixture(scope="module")
def recoder() -> Iterator[SideProcess]:
    process = SideProcess("services.pictures.recoding", memory_mb=MEMORY_MB)
    yield process
    process.close()


def recoded(recoder: SideProcess, data: bytes) -> tuple[str, Image.Image, bytes]:
    head, written = recoder.one({}, data)
    image = opened(written)
    assert (head["width"], head["height"]) == image.size
    return head["type"], image, written


def is_blue(image: Image.Image, at: tuple[int, int]) -> bool:
    red, _, blue = image.convert("RGB").getpixel(at)  # type: ignore[misc]
    return bool(blue > red)


@pytest.mark.parametrize(
    ("kind", "type"),
    [("JPEG", "image/jpeg"), ("PNG", "image/png"), ("GIF", "image/png"), ("WEBP", "image/png"), ("BMP", "image/png")],
)
def test_every_kind_becomes_a_plain_one(recoder: SideProcess, kind: str, type: str) -> None:
    written_type, image, _ = recoded(recoder, picture(kind))
    assert (written_type, image.size) == (type, (60, 40))
    assert is_blue(image, (3, 3))
    assert not is_blue(image, (50, 30))


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "I;16", "CMYK"])
def test_every_mode_of_colour_is_kept_as_it_looks(recoder: SideProcess, mode: str) -> None:
    """Dark stays dark and light stays light."""
    image = Image.new("L", (30, 10), 255)
    image.paste(0, (0, 0, 10, 10))
    if mode == "I;16":
        image = image.convert("I").point(lambda value: value * 257).convert("I;16")
    else:
        image = image.convert(mode)
    _, kept, _ = recoded(recoder, saved(image, "JPEG" if mode == "CMYK" else "PNG"))
    grey = kept.convert("L")
    assert int(grey.getpixel((2, 5))) < 40  # type: ignore[arg-type]
    assert int(grey.getpixel((25, 5))) > 215  # type: ignore[arg-type]


def test_transparency_stays(recoder: SideProcess) -> None:
    image = Image.new("RGBA", (10, 10), (0, 0, 0, 0))
    _, kept, _ = recoded(recoder, saved(image, "PNG"))
    assert kept.convert("RGBA").getpixel((5, 5)) == (0, 0, 0, 0)


@pytest.mark.parametrize(("turned", "corner"), [(1, (3, 3)), (3, (57, 37)), (6, (37, 3)), (8, (3, 57))])
def test_a_photo_stands_upright_and_tells_nothing(recoder: SideProcess, turned: int, corner: tuple[int, int]) -> None:
    """Rotated by its EXIF; place, camera, comments and anything in them are gone."""
    exif = Image.Exif()
    exif[0x0112] = turned
    exif[0x010E] = "<script>alert(1)</script>'; DROP TABLE user;--"
    exif.get_ifd(0x8825)[1] = "N"
    exif.get_ifd(0x8825)[2] = (31.0, 14.0, 0.0)
    data = picture("JPEG", exif=exif.tobytes(), comment=b"1 MB of words " * 4_000)
    _, image, written = recoded(recoder, data)
    assert image.size == ((40, 60) if turned in (6, 8) else (60, 40))
    assert is_blue(image, corner)
    assert not image.getexif()
    for trace in (b"DROP", b"script", b"words", b"Exif"):
        assert trace not in written


@pytest.mark.parametrize("tail", [b"<html><script>alert(1)</script></html>", b"PK\x03\x04" + bytes(200)])
@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF"])
def test_what_hides_behind_a_picture_is_left_out(recoder: SideProcess, kind: str, tail: bytes) -> None:
    """A file that is a picture and something else besides is only a picture afterwards."""
    _, _, written = recoded(recoder, picture(kind) + tail)
    assert tail[:4] not in written


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG"])
def test_of_an_animation_the_first_frame_is_kept(recoder: SideProcess, kind: str) -> None:
    _, image, _ = recoded(recoder, animation(kind, 5))
    assert getattr(image, "n_frames", 1) == 1


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "WEBP", "BMP"])
def test_a_picture_that_is_cut_off_is_refused(recoder: SideProcess, kind: str) -> None:
    """Its header was good, its data are not; the next one is served by the same process."""
    rough = Image.effect_noise((300, 200), 90).convert("RGB")
    data = saved(rough, kind)
    with pytest.raises(UnsupportedMedia):
        recoder.one({}, data[: len(data) // 2])
    assert recoded(recoder, picture())[1].size == (60, 40)


def test_a_huge_but_allowed_picture_fits_into_the_memory_it_may_have(recoder: SideProcess) -> None:
    """40 megapixels of one colour in a file of kilobytes: decoded, in another process than this one."""
    data = bomb_png(8_000, 5_000)
    assert len(data) < 200_000
    kind, image, written = recoded(recoder, data)
    assert (kind, image.size) == ("image/png", (8_000, 5_000))
    assert len(written) < MAX_BYTES


def test_memory_is_capped() -> None:
    """What does not fit is refused, and the process is none the worse."""
    small = SideProcess("services.pictures.recoding", memory_mb=80)
    try:
        with pytest.raises(TooLarge):
            small.one({}, bomb_png(8_000, 5_000))
        assert small.one({}, picture())[0]["width"] == 60
    finally:
        small.close()


def test_the_hub_goes_on_while_a_picture_is_decoded(recoder: SideProcess) -> None:
    """Others are served in the meantime."""
    turns = 0
    job = gevent.spawn(recoder.one, {}, bomb_png(6_000, 5_000))
    while not job.ready():
        gevent.sleep(0.005)
        turns += 1
    assert job.get()[0]["width"] == 6_000
    assert turns > 10


def test_a_job_that_is_left_ends_its_process_and_the_next_one_works(recoder: SideProcess) -> None:
    """Nobody waits for work that nobody wants."""
    job = gevent.spawn(recoder.one, {}, bomb_png(8_000, 5_000))
    gevent.sleep(0.05)  # it is at work: this picture takes a second
    before = recoder.pid
    job.kill()
    assert recoder.one({}, picture())[0]["width"] == 60
    assert recoder.pid != before


def test_an_idle_process_ends_and_comes_back() -> None:
    process = SideProcess("services.pictures.recoding", memory_mb=MEMORY_MB, idle_s=0.05)
    try:
        process.one({}, picture())
        with gevent.Timeout(10):
            while process.pid is not None:
                gevent.sleep(0.01)
        assert process.one({}, picture())[0]["height"] == 40
    finally:
        process.close()


def test_a_crowd_waits_in_line_up_to_a_bound() -> None:
    """Every one is served, or told at once that there are too many."""
    process = SideProcess("services.pictures.recoding", memory_mb=MEMORY_MB, max_waiting=5)
    try:
        jobs = [gevent.spawn(process.one, {}, picture()) for _ in range(12)]
        gevent.joinall(jobs, timeout=30)
        codes = [getattr(job.exception, "code", "ok") for job in jobs]
        assert codes.count("ok") in (5, 6)
        assert set(codes) == {"ok", "server_busy"}
        assert all(isinstance(job.exception, ChatError) for job in jobs if job.exception)
    finally:
        process.close()
