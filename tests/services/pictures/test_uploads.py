"""A picture comes in parts: every byte once, whatever was lost on the way, within bounds."""

from __future__ import annotations

import gevent
import pytest
from gevent.event import Event

from services.errors import Conflict, InvalidRequest, NotFound, RateLimited, ServerBusy, TooLarge, UnsupportedMedia
from services.pictures import uploads as limits
from services.pictures.uploads import Uploads
from tests.services.pictures.conftest import ANN, BOB, Shelf
from tests.services.pictures.samples import opened, picture

DATA = picture("PNG")


@pytest.fixture
def uploads(shelf: Shelf) -> Uploads:
    return Uploads(shelf.pictures, shelf.clock, shelf.folder.parent / "uploads")


def test_parts_become_a_picture(uploads: Uploads, shelf: Shelf) -> None:
    """Sent twice they are dropped, sent too early they are not taken; the last one is answered with the picture."""
    upload = uploads.begin(ANN, "c-1", len(DATA))
    assert uploads.part(ANN, upload.id, 0, DATA[:50]).next == 50
    assert uploads.part(ANN, upload.id, 0, DATA[:50]).next == 50
    assert uploads.part(ANN, upload.id, 80, DATA[80:90]).next == 50
    assert uploads.part(ANN, upload.id, 30, DATA[30:90]).next == 90
    assert uploads.begin(ANN, "c-1", len(DATA)).next == 90, "the line was lost; the same name goes on"
    done = uploads.part(ANN, upload.id, 90, DATA[90:])
    assert done.next == len(DATA)
    assert done.picture is not None
    assert opened(shelf.pictures.read(done.picture)).size == (60, 40)
    again = uploads.part(ANN, upload.id, 90, DATA[90:])
    assert again.picture == done.picture, "the acknowledgement was lost"
    assert len(shelf.pictures.list(ANN)) == 1
    assert uploads.announced_bytes == 0


def test_the_last_part_sent_twice_at_once_makes_one_picture(uploads: Uploads, shelf: Shelf) -> None:
    upload = uploads.begin(ANN, "c-1", len(DATA))
    uploads.part(ANN, upload.id, 0, DATA[:50])
    both = [gevent.spawn(uploads.part, ANN, upload.id, 50, DATA[50:]) for _ in range(2)]
    gevent.joinall(both, timeout=20, raise_error=True)
    assert len(shelf.pictures.list(ANN)) == 1


def test_what_is_no_picture_is_refused_at_its_end_and_forgotten(uploads: Uploads) -> None:
    upload = uploads.begin(ANN, "c-1", 5)
    with pytest.raises(UnsupportedMedia):
        uploads.part(ANN, upload.id, 0, b"hello")
    with pytest.raises(NotFound):
        uploads.part(ANN, upload.id, 0, b"hello")
    assert uploads.begin(ANN, "c-1", 7).next == 0


def test_faults_are_named(uploads: Uploads) -> None:
    upload = uploads.begin(ANN, "c-1", 10)
    with pytest.raises(InvalidRequest, check=lambda error: error.field == "data"):
        uploads.part(ANN, upload.id, 8, b"123")
    with pytest.raises(Conflict):
        uploads.begin(ANN, "c-1", 11)
    with pytest.raises(NotFound):
        uploads.part(BOB, upload.id, 0, b"1")
    with pytest.raises(TooLarge):
        uploads.begin(ANN, "c-2", 10 * 1_048_576 + 1)


def test_number_and_bytes_are_bounded(uploads: Uploads, monkeypatch: pytest.MonkeyPatch) -> None:
    """One user has a few under way, all together so many bytes; both come back with time."""
    for number in range(limits.MAX_PER_USER):
        uploads.begin(ANN, f"c-{number}", 100)
    with pytest.raises(RateLimited):
        uploads.begin(ANN, "one more", 100)
    monkeypatch.setattr(limits, "MAX_TOTAL_BYTES", 1_000)
    with pytest.raises(ServerBusy):
        uploads.begin(BOB, "c", 700)
    uploads.begin(BOB, "c", 600)


def test_an_upload_that_rests_too_long_is_forgotten(uploads: Uploads, shelf: Shelf) -> None:
    """Each part gives it more time."""
    upload = uploads.begin(ANN, "c-1", 100)
    shelf.clock.advance(limits.EXPIRY_S - 1)
    uploads.part(ANN, upload.id, 0, b"x")
    shelf.clock.advance(limits.EXPIRY_S - 1)
    assert uploads.begin(ANN, "c-1", 100).next == 1
    shelf.clock.advance(limits.EXPIRY_S + 1)
    with pytest.raises(NotFound):
        uploads.part(ANN, upload.id, 1, b"x")
    assert uploads.announced_bytes == 0


def test_an_upload_begun_on_one_worker_goes_on_on_another(shelf: Shelf) -> None:
    """Each byte once, whoever took it; an end sent to both at once makes one picture."""
    one, other = (Uploads(shelf.pictures, shelf.clock, shelf.folder.parent / "uploads") for _ in range(2))
    upload = one.begin(ANN, "c-1", len(DATA))
    one.part(ANN, upload.id, 0, DATA[:50])
    assert (other.begin(ANN, "c-1", len(DATA)).id, other.begin(ANN, "c-1", len(DATA)).next) == (upload.id, 50)
    assert other.part(ANN, upload.id, 20, DATA[20:70]).next == 70
    both = [gevent.spawn(worker.part, ANN, upload.id, 70, DATA[70:]) for worker in (one, other)]
    gevent.joinall(both, timeout=20, raise_error=True)
    assert both[0].value == both[1].value
    (kept,) = shelf.pictures.list(ANN)
    assert opened(shelf.pictures.read(kept)).size == (60, 40)
    shelf.pictures.remove(ANN, kept.id)
    with pytest.raises(NotFound):
        one.find(ANN, upload.id)
    assert other.begin(ANN, "c-1", len(DATA)).next == 0, "the same name may come again"


def test_one_that_a_worker_died_over_can_be_stored_again(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its end is sent once more; a disk that fails costs a try."""
    one, other = (Uploads(shelf.pictures, shelf.clock, shelf.folder.parent / "uploads") for _ in range(2))
    upload = one.begin(ANN, "c-1", len(DATA))
    one.part(ANN, upload.id, 0, DATA[:50])
    storing = Event()

    def killed(user_id: str, data: bytes) -> None:
        storing.set()
        Event().wait()

    with monkeypatch.context() as patch:
        patch.setattr(shelf.pictures, "add", killed)
        dying = gevent.spawn(one.part, ANN, upload.id, 50, DATA[50:])
        assert storing.wait(20)
        patch.setattr(one, "_apart", lambda work: None)  # it writes nothing more
        dying.kill()
    shelf.clock.advance(limits.STORE_S + 1)
    assert other.part(ANN, upload.id, 50, DATA[50:]).picture is not None


@pytest.mark.parametrize("name", ["../../x", "u_none", "", "lock", "u_" + "0" * 29 + "/"])
def test_what_a_client_says_is_no_part_of_a_path(uploads: Uploads, name: str) -> None:
    for ask in (lambda: uploads.find(ANN, name), lambda: uploads.part(ANN, name, 0, b"x")):
        with pytest.raises(NotFound):
            ask()


def test_a_disk_that_fails_is_told_and_spoils_nothing_else(uploads: Uploads, shelf: Shelf) -> None:
    """The metrics go on with what was known; uploads go on when it works again."""
    upload = uploads.begin(ANN, "c-1", len(DATA))
    assert uploads.announced_bytes == len(DATA)
    folder = shelf.folder.parent / "uploads"
    folder.rename(folder.with_name("away"))
    folder.write_text("in the way")
    with pytest.raises(ServerBusy):
        uploads.part(ANN, upload.id, 0, DATA)
    assert uploads.announced_bytes == len(DATA)
    folder.unlink()
    folder.with_name("away").rename(folder)
    assert uploads.part(ANN, upload.id, 0, DATA).picture is not None
