"""Uploads under way as files: a folder that every worker of a server shares, one file an upload."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import BinaryIO

try:
    import fcntl
except ImportError:  # Windows, where one process serves
    fcntl = None  # type: ignore[assignment]

HEAD = 512


class Locked(Exception):
    """Another worker is at it."""


@dataclass(slots=True)
class UploadState:
    """What is known of one upload.

    Attributes:
        size: Bytes announced.
        next: Bytes taken.
        picture: What it became; empty until it is stored.
        storing_until_ms: While a worker stores it, when that worker is given up; else 0.
    """

    size: int
    next: int = 0
    picture: str = ""
    storing_until_ms: int = 0


class UploadFiles:
    """Blocks; for native threads. Everything but the constructor is done with `locked`.

    A file has `HEAD` bytes of state, then the picture: as many bytes as were announced, so that its size tells what
    is still to come; none once the picture is stored. Its time is when it was last touched.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep every other worker away.

        Raises:
            Locked: One of them is in here.
        """
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with (self._folder / "lock").open("a") as lock:
            if fcntl is not None:
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except OSError as error:
                    raise Locked from error
            yield

    def names(self, oldest_ms: int) -> dict[str, int]:
        """Every upload touched since, with the bytes it still holds a place for; older ones are deleted."""
        found = {}
        for entry in os.scandir(self._folder):
            if entry.name == "lock":
                continue
            with suppress(FileNotFoundError):
                about = entry.stat()
                if about.st_mtime_ns // 1_000_000 < oldest_ms:
                    Path(entry.path).unlink()
                else:
                    found[entry.name] = max(0, about.st_size - HEAD)
        return found

    def create(self, name: str, size: int, now_ms: int) -> UploadState:
        state = UploadState(size)
        with self._opened(name, "x+b") as file:
            file.truncate(HEAD + size)
            self._keep(file, state, now_ms)
        return state

    def state(self, name: str, oldest_ms: int) -> UploadState | None:
        """None when there is none, or it was not touched since."""
        path = self._folder / name
        try:
            if path.stat().st_mtime_ns // 1_000_000 < oldest_ms:
                path.unlink()
                return None
            with path.open("rb") as file:
                return UploadState(**json.loads(file.read(HEAD)))
        except (FileNotFoundError, ValueError, TypeError):  # or one that a crash of the machine left half written
            return None

    def write(self, name: str, state: UploadState, now_ms: int, *, at: int = 0, data: bytes = b"") -> None:
        """Keep the state, and bytes that came."""
        with self._opened(name, "r+b") as file:
            if data:
                file.seek(HEAD + at)
                file.write(data)
            if state.picture:
                file.truncate(HEAD)
            self._keep(file, state, now_ms)

    def read(self, name: str) -> bytes:
        with (self._folder / name).open("rb") as file:
            file.seek(HEAD)
            return file.read()

    def delete(self, name: str) -> None:
        (self._folder / name).unlink(missing_ok=True)

    def _opened(self, name: str, mode: str) -> BinaryIO:
        return open(self._folder / name, mode, opener=lambda path, flags: os.open(path, flags, 0o600))  # type: ignore[return-value]

    @staticmethod
    def _keep(file: BinaryIO, state: UploadState, now_ms: int) -> None:
        file.seek(0)
        file.write(json.dumps(asdict(state)).encode().ljust(HEAD))
        file.flush()
        os.utime(file.name, ns=(now_ms * 1_000_000, now_ms * 1_000_000))
