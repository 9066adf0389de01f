"""Facts about PCM: sizes, times, loudness, and the container that is no PCM. Pure."""

from __future__ import annotations

from array import array

BYTES_A_SAMPLE = 2
QUIET_PEAK = 400
"""Of 32,767: below it nobody speaks into a microphone that is any good (-38 dBFS)."""

_SAMPLED = 8
_MAGIC = (b"RIFF", b"ID3", b"OggS", b"fLaC", b"\x1aE\xdf\xa3")


def ms_of(size: int, rate: int) -> int:
    """Milliseconds that so many bytes last, rounded down."""
    return size * 1000 // (rate * BYTES_A_SAMPLE)


def bytes_of(seconds: float, rate: int) -> int:
    """Whole samples that last so long, in bytes."""
    return int(seconds * rate) * BYTES_A_SAMPLE


def peak(pcm: bytes) -> int:
    """About the largest deviation from silence: every eighth sample is looked at, which costs 2 µs a frame."""
    samples = array("h", pcm[: len(pcm) & ~1])[::_SAMPLED]
    highest, lowest = max(samples, default=0), min(samples, default=0)
    return max(highest, -lowest)


def is_file(start: bytes) -> bool:
    """Whether the first bytes are those of a sound file (WAV, MP3, Ogg, FLAC, WebM) and not samples."""
    return start.startswith(_MAGIC)
