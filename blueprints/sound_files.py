"""Samples out of an uploaded file: a WAV, or PCM as it is."""

from __future__ import annotations

import io
import wave
from dataclasses import dataclass

from werkzeug.datastructures import FileStorage
from werkzeug.http import parse_options_header

from services.errors import InvalidRequest, UnsupportedMedia
from services.speech.pcm import is_file
from services.turns.voice_request import RATES

_PCM_ENDINGS = (".pcm", ".raw")
_PCM_KINDS = ("audio/l16", "audio/pcm", "audio/x-pcm")


@dataclass(frozen=True, slots=True)
class Recording:
    """16-bit little-endian mono samples."""

    pcm: bytes
    rate: int


def read_recording(file: FileStorage) -> Recording:
    """What was uploaded.

    Raises:
        UnsupportedMedia: Neither a WAV nor PCM, or of a form that recognisers do not take.
        InvalidRequest: It is empty.
    """
    data = file.read()
    if not data:
        raise InvalidRequest("file is empty.", field="file")
    if data[:4] == b"RIFF":
        return _wav(data)
    kind, options = parse_options_header(file.content_type)
    is_pcm = (file.filename or "").lower().endswith(_PCM_ENDINGS) or kind.lower() in _PCM_KINDS
    if not is_pcm or is_file(data) or len(data) % 2:
        raise UnsupportedMedia("Send a WAV file, or 16-bit PCM as a .pcm file.", field="file")
    rate = options.get("rate", "16000")
    return Recording(data, _rate(int(rate) if rate.isdecimal() else 0))


def _wav(data: bytes) -> Recording:
    try:
        with wave.open(io.BytesIO(data)) as file:
            if file.getsampwidth() != 2 or file.getnchannels() != 1:
                raise UnsupportedMedia("The WAV file must have one channel of 16 bits.", field="file")
            return Recording(file.readframes(file.getnframes()), _rate(file.getframerate()))
    except (wave.Error, EOFError) as error:
        raise UnsupportedMedia("This WAV file cannot be read.", field="file") from error


def _rate(rate: int) -> int:
    if rate not in RATES:
        raise UnsupportedMedia("The rate must be 16000 or 8000 samples a second.", field="file")
    return rate
