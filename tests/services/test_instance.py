"""Processes that begin at the same moment on one folder agree on what is kept there."""

from __future__ import annotations

import stat
import subprocess
import sys
from pathlib import Path

from services.instance import Instance, kept_secret

ROOT = Path(__file__).parents[2]
BEGIN = """
import sys
from pathlib import Path
from services.instance import Instance, kept_secret
sys.stdin.readline()
print(kept_secret(Path(sys.argv[1])), Instance(Path(sys.argv[1])).name.partition(":")[0])
"""


def test_workers_that_begin_at_once_have_one_secret(tmp_path: Path) -> None:
    """Never an empty one, whoever was half through writing it; it is its owner's alone to read."""
    began = [
        subprocess.Popen(
            [sys.executable, "-c", BEGIN, str(tmp_path)],
            cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )
        for _ in range(6)
    ]  # fmt: skip
    for process in began:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    said = {process.communicate(timeout=60)[0] for process in began}
    assert said == {f"{kept_secret(tmp_path)} {Instance(tmp_path).name.partition(':')[0]}\n"}
    assert len(kept_secret(tmp_path)) >= 32
    assert stat.S_IMODE((tmp_path / "secret-key").stat().st_mode) == 0o600
    assert sorted(path.name for path in tmp_path.glob("*-*.n_*")) == []
