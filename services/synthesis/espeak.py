"""A voice with no key: espeak-ng, where it is installed, in a process of its own for each sentence."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import gevent
from gevent.lock import BoundedSemaphore

import config
from services.errors import VendorOverloaded, VendorTimeout
from services.synthesis.base import Mouth, SynthesisSpec, VoiceCard

PROGRAM = "espeak-ng"
PIECE_BYTES = 16_384
LIMIT_S = 10.0
HEADER_BYTES = 44
_HAN = range(0x3400, 0xA000)


@dataclass(frozen=True, slots=True)
class EspeakSettings:
    """The local voice."""

    processes: int = config.setting(
        2, "Sentences that espeak-ng reads at once; 0 takes it off the list.", env="ESPEAK_PROCESSES", minimum=0
    )


class Espeak:
    """A sentence takes it some hundredths of a second; it is heard at once that a machine speaks."""

    name = "espeak"

    def __init__(self, settings: EspeakSettings) -> None:
        self._program = shutil.which(PROGRAM) if settings.processes else None
        self._free = BoundedSemaphore(max(settings.processes, 1))

    def voices(self) -> tuple[VoiceCard, ...]:
        if self._program is None:
            return ()
        note = "Rough: a machine's voice, made on the server itself without any key."
        return (VoiceCard("espeak-ng", "eSpeak NG", self.name, True, ("en", "zh"), note),)

    @contextmanager
    def open(self, voice: str, rate: int) -> Iterator[Mouth]:
        yield _Mouth(self._program or PROGRAM, self._free)

    def close(self) -> None:
        """No process outlives its sentence."""


class _Mouth:
    """Speaks at the rate it has."""

    rate = 22_050

    def __init__(self, program: str, free: BoundedSemaphore) -> None:
        self._program = program
        self._free = free

    def say(self, text: str) -> Generator[bytes, None, None]:
        with self._free:
            wav = _spoken([self._program, "--stdin", "--stdout", "-v", _language(text)], text)
        if wav[:4] != b"RIFF" or len(wav) < HEADER_BYTES:
            raise VendorOverloaded("The local voice does not work.")
        self.rate = int.from_bytes(wav[24:28], "little")
        end = HEADER_BYTES + (len(wav) - HEADER_BYTES & ~1)
        for at in range(HEADER_BYTES, end, PIECE_BYTES):
            yield wav[at : min(at + PIECE_BYTES, end)]


def _language(text: str) -> str:
    return "cmn" if any(ord(letter) in _HAN for letter in text) else "en-us"


def _spoken(command: list[str], text: str) -> bytes:
    """What the program says to a text; bounded, as sentences are."""
    try:
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, close_fds=True
        )
    except OSError as error:
        raise VendorOverloaded("The local voice cannot be started.") from error
    try:
        with gevent.Timeout(LIMIT_S) as limit:
            wav, _ = process.communicate(text.encode())
        return wav
    except gevent.Timeout as fired:
        if fired is not limit:
            raise
        raise VendorTimeout("The local voice did not answer in time.") from fired
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


SPEC = SynthesisSpec(name="espeak", settings=EspeakSettings, prefix="ESPEAK", build=Espeak, order=900)
