"""Node, as set-up found or installed it."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path


def node() -> str:
    """The program's path; fails where set-up has not been run."""
    beside = Path(sys.executable).parent / ("node.exe" if sys.platform == "win32" else "node")
    found = shutil.which("node") or (str(beside) if beside.exists() else None)
    assert found, "Node is missing: run ./run setup."
    return found
