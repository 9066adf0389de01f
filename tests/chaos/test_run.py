"""Small runs of the whole: one in good order, and two that are spoiled on purpose."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.processes import ROOT

SMALL = ["--workers", "2", "--turns", "6", "--seconds", "6", "--pieces", "20-40", "--rate", "8"]
CALM = ["--kill-every", "0", "--redis-restart", "0", "--rolling", "0"]


def chaos(folder: Path, *arguments: str) -> tuple[int, dict[str, str]]:
    """Exit code, and what the table says of each promise."""
    command = [sys.executable, "-m", "chaos", "--folder", str(folder), *SMALL]
    done = subprocess.run([*command, *arguments], cwd=ROOT, capture_output=True, text=True, timeout=110)
    rows = [line for line in done.stdout.splitlines() if line.startswith(("kept", "BROKEN"))]
    assert rows, done.stderr
    return done.returncode, {row[8:56].strip(): row[:6].strip() for row in rows}


def test_a_killed_worker_breaks_no_promise(tmp_path: Path) -> None:
    """One of two workers is killed in the middle; the table is all kept and the picture is drawn."""
    code, rows = chaos(tmp_path, *CALM, "--kill-every", "5", "--pause", "600")
    assert (code, set(rows.values())) == (0, {"kept"}), (tmp_path / "table.txt").read_text()
    assert (tmp_path / "timeline.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("sabotage", "promise"),
    [
        ("drop-entry", "no offset missing, none twice"),
        ("swallow-entry", "both viewers saw the stored text and its hash"),
    ],
)
def test_a_dropped_entry_is_found(tmp_path: Path, sabotage: str, promise: str) -> None:
    """One entry that one viewer never gets makes the run fail, and a row tells."""
    code, rows = chaos(tmp_path, *CALM, "--workers", "1", "--turns", "2", "--seconds", "2", "--sabotage", sabotage)
    assert (code, rows[promise]) == (1, "BROKEN")
