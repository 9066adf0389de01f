"""Pictures are kept for their owner: a row and a file each, both or neither."""

from __future__ import annotations

import os

import pytest
from PIL import Image
from sqlalchemy import delete

from db.models import User
from services.errors import Conflict, NotFound, ServerBusy, UnsupportedMedia
from tests.services.pictures.conftest import ANN, BOB, Shelf
from tests.services.pictures.samples import opened, picture, saved


def test_what_was_added_comes_back(shelf: Shelf) -> None:
    """Written anew, with its size and kind, newest first in the list; nobody else can read the file."""
    first = shelf.pictures.add(ANN, picture("BMP"))
    shelf.clock.advance(1)
    second = shelf.pictures.add(ANN, picture("JPEG", (30, 20)))
    assert shelf.pictures.get(ANN, first.id) == first
    assert opened(shelf.pictures.read(first)).size == (60, 40)
    assert len(shelf.pictures.read(first)) == first.bytes
    assert shelf.pictures.list(ANN) == [second, first]
    assert second.to_wire() == {
        "id": second.id,
        "url": f"/v1/pictures/{second.id}",
        "width": 30,
        "height": 20,
        "type": "image/jpeg",
    }
    modes = [path.stat().st_mode & 0o077 for path in shelf.folder.rglob("*")]
    assert modes == [0] * len(modes)


def test_another_users_picture_looks_absent(shelf: Shelf) -> None:
    mine = shelf.pictures.add(ANN, picture())
    for look in (shelf.pictures.get, shelf.pictures.remove):
        for owner, name in ((BOB, mine.id), (ANN, "p_none"), (ANN, "../../etc/passwd")):
            with pytest.raises(NotFound):
                look(owner, name)
    assert shelf.pictures.list(BOB) == []
    assert shelf.pictures.get(ANN, mine.id) == mine


def test_a_removed_picture_is_gone_with_its_file(shelf: Shelf) -> None:
    record = shelf.pictures.add(ANN, picture())
    shelf.pictures.remove(ANN, record.id)
    assert shelf.files() == []
    with pytest.raises(NotFound):
        shelf.pictures.get(ANN, record.id)


def test_a_user_keeps_no_more_than_one_may(shelf: Shelf) -> None:
    """Refused without a trace; another user is not concerned; room comes back with a removal."""
    noise = saved(Image.effect_noise((110, 110), 90), "PNG")
    record = shelf.pictures.add(ANN, noise)
    with pytest.raises(Conflict):
        shelf.pictures.add(ANN, noise)
    assert shelf.files() == [record.id]
    shelf.pictures.add(BOB, noise)
    shelf.pictures.remove(ANN, record.id)
    shelf.pictures.add(ANN, noise)


def test_what_is_no_picture_leaves_nothing(shelf: Shelf) -> None:
    for data in (b"hello", picture("PNG")[:80]):
        with pytest.raises(UnsupportedMedia):
            shelf.pictures.add(ANN, data)
    assert shelf.files() == []
    assert shelf.pictures.list(ANN) == []


def test_a_folder_that_cannot_be_written_is_told(shelf: Shelf) -> None:
    """In a word a client understands, and without a row."""
    shelf.folder.write_text("a file in the way")
    with pytest.raises(ServerBusy):
        shelf.pictures.add(ANN, picture())
    assert shelf.pictures.list(ANN) == []


def test_files_of_deleted_users_are_swept(shelf: Shelf) -> None:
    """Only those without a row, and none that may still get one."""
    gone, kept = shelf.pictures.add(ANN, picture()), shelf.pictures.add(BOB, picture())
    with shelf.uow() as session:
        session.execute(delete(User).where(User.id == ANN))
    assert shelf.pictures.sweep() == 0, "too young"
    old = shelf.clock.now_ms() / 1000 - 86_400
    for path in shelf.folder.glob("*/*"):
        os.utime(path, (old, old))
    assert shelf.pictures.sweep() == 1
    assert shelf.files() == [kept.id] != [gone.id]
