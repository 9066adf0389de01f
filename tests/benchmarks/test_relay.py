"""The relay's benchmark runs against this server, as it would for a reader of its page."""

from __future__ import annotations

import subprocess
import sys

from benchmarks.processes import ROOT


def test_a_small_run_measures_this_server() -> None:
    """A vendor, the server and a load come up, every answer arrives whole, and a figure is printed."""
    command = ["relay", "--peers", "parley", "--streams", "3", "--rounds", "1", "--seconds", "1", "--window-ms", "0"]
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", *command], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert "us a piece" in done.stdout.splitlines()[-1]
