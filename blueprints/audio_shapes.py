"""Transcripts in OpenAI's shapes: pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from services.events import TranscriptFinal

FORMATS = ("json", "text", "srt", "verbose_json", "vtt")


def whole(text: str, audio_ms: int) -> dict[str, Any]:
    """`json`. Seconds are told as they are billed elsewhere: begun ones count."""
    return {"text": text, "usage": {"type": "duration", "seconds": -(-audio_ms // 1000)}}


def verbose(finals: Sequence[TranscriptFinal], text: str, audio_ms: int, language: str | None) -> dict[str, Any]:
    """`verbose_json`. Figures that recognisers here do not tell (log probabilities, tokens) are not made up."""
    return {
        "task": "transcribe",
        "language": language or "",
        "duration": audio_ms / 1000,
        "text": text,
        "segments": [
            {"id": number, "start": final.start_ms / 1000, "end": final.end_ms / 1000, "text": final.text}
            for number, final in enumerate(finals)
        ],
        "usage": {"type": "duration", "seconds": -(-audio_ms // 1000)},
    }


def srt(finals: Sequence[TranscriptFinal]) -> str:
    """Subtitles, numbered."""
    return "".join(
        f"{number}\n{_time(final.start_ms, ',')} --> {_time(final.end_ms, ',')}\n{final.text.strip()}\n\n"
        for number, final in enumerate(finals, 1)
    )


def vtt(finals: Sequence[TranscriptFinal]) -> str:
    """Subtitles for browsers."""
    cues = (f"{_time(f.start_ms, '.')} --> {_time(f.end_ms, '.')}\n{f.text.strip()}\n\n" for f in finals)
    return "WEBVTT\n\n" + "".join(cues)


def _time(ms: int, mark: str) -> str:
    seconds, ms = divmod(ms, 1000)
    return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}{mark}{ms:03}"
