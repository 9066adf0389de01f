"""Which server this is: a name that survives a restart, held by one process at a time."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import IO

from services.ids import new_id, new_secret

_MOST = 64


def kept_secret(data_dir: Path) -> str:
    """The secret this server made for itself at its first start, for its owner's eyes only."""
    return _kept(data_dir / "secret-key", new_secret)


class Instance:
    """A slot in the data folder. Turns carry its name, so that the next process in the slot knows its own dead.

    Attributes:
        name: `<id of the data folder>:<slot>`.
    """

    def __init__(self, data_dir: Path) -> None:
        """Take the first slot that no living process holds.

        Raises:
            OSError: The folder cannot be written, or all slots are held.
        """
        data_dir.mkdir(parents=True, exist_ok=True)
        folder_id = _folder_id(data_dir)
        for slot in range(_MOST):
            held = (data_dir / f"instance-{slot}.lock").open("a")
            if _lock(held):
                self._held = held
                self.name = f"{folder_id}:{slot}"
                return
            held.close()
        raise OSError(f"{_MOST} servers already use {data_dir}.")

    def close(self) -> None:
        """Give the slot free; a process that dies does so, too."""
        self._held.close()


def _folder_id(data_dir: Path) -> str:
    return _kept(data_dir / "instance-id", lambda: new_id("i"))


def _kept(path: Path, make: Callable[[], str]) -> str:
    """What the file says, written at the first call: whole, whoever else begins at the same moment."""
    if not path.exists():
        fresh = path.with_name(f"{path.name}.{new_id('n')}")
        with open(fresh, "x", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
            file.write(make())
        try:
            os.link(fresh, path)  # unlike a rename it never takes the place of another's
        except FileExistsError:
            fresh.unlink()
        except OSError:  # a file system without links
            fresh.replace(path)
        else:
            fresh.unlink()
    return path.read_text().strip()


def _lock(file: IO[str]) -> bool:
    try:
        import fcntl
    except ImportError:  # Windows
        import msvcrt

        try:
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined,unused-ignore]
        except OSError:
            return False
        return True
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
