"""English without a key: PocketSphinx in processes beside the server, started when first needed, gone when idle."""

from __future__ import annotations

import importlib.util
import logging
import os
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Any

import gevent
import orjson

import config
from services.errors import Internal, ServerBusy
from services.events import Stop, TranscriptFinal, TranscriptPartial
from services.speech.base import Audio, Heard, SpeechCard, SpeechRequest, SpeechSpec

log = logging.getLogger(__name__)

ROOT = Path(__file__).resolve().parents[2]
READ_BYTES = 3_200
NOTE = (
    "English only, and rough: it runs on this machine without any key. Expect wrong words."
    " 仅支持英语，识别较粗略：它在本机运行、无需密钥，会有错词。"
)
MISSING = (
    "Not installed: the server was set up without local engines."
    " 未安装：服务器安装时未包含本地引擎。"
)
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 4096


@dataclass(frozen=True, slots=True)
class PocketSphinxSettings:
    """The recogniser on this machine."""

    processes: int = config.setting(
        2,
        "Speakers the local recogniser serves at once, each with a process of about 120 MB; 0 leaves it out.",
        env="POCKETSPHINX_PROCESSES",
        minimum=0,
        maximum=64,
    )
    idle_s: float = config.setting(
        60.0, "Seconds without speakers after which these processes are ended.", env="POCKETSPHINX_IDLE_S", minimum=0
    )


class PocketSphinx:
    """Lends each speaker a process. Source: docs/voice.md.

    Shared state: `_free` and `_lent` are touched without a yield in between.
    """

    def __init__(self, settings: PocketSphinxSettings) -> None:
        self._settings = settings
        self._installed = importlib.util.find_spec("pocketsphinx") is not None
        self._free: list[_Child] = []
        self._lent: set[_Child] = set()
        self._sweeper: gevent.Greenlet | None = None

    def models(self) -> tuple[SpeechCard, ...]:
        if not self._settings.processes:
            return ()
        card = SpeechCard(
            id="pocketsphinx",
            name="PocketSphinx",
            provider="pocketsphinx",
            vendor_model="en-us",
            available=self._installed,
            languages=("en",),
            note=NOTE if self._installed else MISSING,
        )
        return (card,)

    def listen(self, audio: Audio, request: SpeechRequest) -> Heard:
        child = self._borrow()
        try:
            writer = gevent.spawn(child.write, audio)
            try:
                yield from child.words()
            finally:
                writer.kill()
        finally:
            self._give_back(child)
        yield Stop("stop")

    def pids(self) -> list[int]:
        """Of the processes that run now."""
        return [child.pid for child in [*self._free, *self._lent]]

    @property
    def resident_bytes(self) -> int:
        """What these processes hold; 0 where the system does not tell."""
        total = 0
        for pid in self.pids():
            with suppress(OSError, ValueError, IndexError):
                total += int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE_BYTES
        return total

    def close(self) -> None:
        if self._sweeper is not None:
            self._sweeper.kill()
        for child in [*self._free, *self._lent]:
            child.end()
        self._free.clear()

    def _borrow(self) -> _Child:
        if self._free:
            child = self._free.pop()
        elif len(self._lent) < self._settings.processes:
            child = _Child()
        else:
            raise ServerBusy("The local recogniser serves as many speakers as it can; try again soon.", retry_after_s=5)
        self._lent.add(child)
        return child

    def _give_back(self, child: _Child) -> None:
        self._lent.discard(child)
        if not child.is_clean:
            child.end()
            return
        child.idle_since = monotonic()
        self._free.append(child)
        if self._sweeper is None:
            self._sweeper = gevent.spawn(self._sweep)

    def _sweep(self) -> None:
        """End what nobody needs; the end of the last one is the sweeper's, too."""
        while self._free or self._lent:
            gevent.sleep(min(max(self._settings.idle_s / 4, 0.05), 5.0))
            until = monotonic() - self._settings.idle_s
            for child in [child for child in self._free if child.idle_since <= until]:
                self._free.remove(child)
                child.end()
        self._sweeper = None


class _Child:
    """One process. The hub never waits for it: its pipes are read and written through gevent."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] = subprocess.Popen(
            [sys.executable, "-m", "services.speech.pocketsphinx_main"],
            cwd=ROOT,
            env={**config.bare_environment(), "PYTHONUTF8": "1", "PYTHONDONTWRITEBYTECODE": "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        self.pid = self._process.pid
        self.is_clean = True
        self.idle_since = 0.0

    def write(self, audio: Audio) -> None:
        """Pass the sound on until it ends; runs in a greenlet of its own."""
        self.is_clean = False
        self._send(orjson.dumps({"rate": audio.rate}))
        while piece := audio.read(READ_BYTES):
            self._send(piece)
        self._send(b"")

    def words(self) -> Heard:
        """What is heard until the utterance is over.

        Raises:
            Internal: The process died.
        """
        assert self._process.stdout is not None
        while line := self._process.stdout.readline():
            said: dict[str, Any] = orjson.loads(line)
            if "partial" in said:
                yield TranscriptPartial(said["partial"])
            elif "final" in said:
                yield TranscriptFinal(said["final"], said["start_ms"], said["end_ms"])
            else:
                self.is_clean = True
                return
        with gevent.Timeout(1, False):
            self._process.wait()
        log.error("the local recogniser ended with %s in the middle of an utterance", self._process.poll())
        raise Internal("The recogniser on this server failed.")

    def end(self) -> None:
        """End the process at once, whatever it does."""
        self.is_clean = False
        with suppress(OSError):
            self._process.kill()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with suppress(OSError):
                    pipe.close()
        self._process.wait()

    def _send(self, data: bytes) -> None:
        assert self._process.stdin is not None
        with suppress(OSError):  # it has died: its reader learns of it
            self._process.stdin.write(len(data).to_bytes(4, "big") + data)
            self._process.stdin.flush()


SPEC = SpeechSpec(
    name="pocketsphinx", settings=PocketSphinxSettings, prefix="POCKETSPHINX", build=PocketSphinx, order=500
)
