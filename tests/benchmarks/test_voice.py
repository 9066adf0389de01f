"""The benchmark of speech measures what it says: every byte taken, by this server as it is."""

from __future__ import annotations

import pytest

from benchmarks.processes import PeerFailed
from benchmarks.voice import one_run


def test_a_small_run_against_this_server_takes_every_byte() -> None:
    """Two speakers for a fifth of a second; a byte lost would have ended it without a figure."""
    measured = one_run("parley", speakers=2, seconds=0.2)
    assert measured.frames == 10
    assert measured.rss_mb > 10


def test_a_server_that_does_not_start_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VOICE_MAX_S", "none")
    with pytest.raises(PeerFailed, match="VOICE_MAX_S"):
        one_run("parley", speakers=1, seconds=0.1)
