"""A store of pictures on a real database, with a user who owns some."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from db.models import User
from db.unit_of_work import UnitOfWork
from services.pictures.store import Pictures
from services.wire.side_process import SideProcess
from tests.clocks import FakeClock

ANN, BOB = "u_ann", "u_bob"
MOST_BYTES = 20_000


@dataclass
class Shelf:
    """The store, and what stands around it."""

    pictures: Pictures
    folder: Path
    uow: UnitOfWork
    clock: FakeClock

    def files(self) -> list[str]:
        return sorted(path.name for path in self.folder.glob("*/*"))


@pytest.fixture(scope="session")
def recoding() -> Iterator[SideProcess]:
    process = SideProcess("services.pictures.recoding", memory_mb=1_024)
    yield process
    process.close()


@pytest.fixture
def shelf(uow: UnitOfWork, clock: FakeClock, tmp_path: Path, recoding: SideProcess) -> Shelf:
    with uow() as session:
        session.add_all(User(id=user, name=user, guest=True, created_ms=0) for user in (ANN, BOB))
    folder = tmp_path / "pictures"
    pictures = Pictures(uow=uow, clock=clock, folder=folder, recoder=recoding, most_bytes_per_user=MOST_BYTES)
    return Shelf(pictures, folder, uow, clock)
