"""The measurement of memory: every process is counted, and what does not fit is said."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from benchmarks.processes import ROOT


@pytest.mark.parametrize(("limit_mb", "code"), [(1000, 0), (1, 1)])
def test_every_process_is_counted(limit_mb: int, code: int) -> None:
    """Redis, the keeper and two workers; a limit that nothing could keep ends it with 1."""
    few = ["--sockets", "20", "--streams", "5", "--seconds", "1", "--limit-mb", str(limit_mb)]
    told = subprocess.run(
        [sys.executable, "-m", "benchmarks", "memory", *few], cwd=ROOT, capture_output=True, text=True, timeout=100
    )
    assert told.returncode == code, told.stdout + told.stderr
    if not code:
        row = next(line for line in told.stdout.splitlines() if line.startswith("while all answers run"))
        total, *each = map(float, re.findall(r"\d+\.\d", row))
        assert len(each) == 4
        assert total == pytest.approx(sum(each), abs=0.3)
