"""The benchmark of many streams runs against this server, as it would for a reader of its page."""

from __future__ import annotations

import subprocess
import sys

from benchmarks.processes import ROOT


def test_a_small_run_measures_two_vendors_and_the_other_client() -> None:
    """Simulators, server, load and the other client come up; every answer arrives whole; a line each is printed."""
    command = ["streams", "--streams", "3", "--seconds", "1", "--vendors", "openai", "spark"]
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", *command], cwd=ROOT, capture_output=True, text=True, timeout=100
    )
    assert done.returncode == 0, done.stderr
    assert [line.split()[0] for line in done.stdout.splitlines()[-2:]] == ["openai", "spark"]
