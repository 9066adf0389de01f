"""One session of iFlytek's dictation: frames out at the pace of speech, corrected text in, one end."""

from __future__ import annotations

import base64
import logging
from collections.abc import Generator
from enum import Enum
from time import monotonic
from typing import Any

import gevent
import orjson

from services.errors import VendorError, VendorTimeout
from services.events import TranscriptFinal, TranscriptPartial
from services.speech.iflytek_codes import OVER, meaning_of
from services.speech.iflytek_table import Table
from services.speech.listening import messages_soon
from services.speech.pcm import QUIET_PEAK, bytes_of, ms_of, peak
from services.speech.tape import Tape
from services.wire.websocket_client import WebSocket

log = logging.getLogger(__name__)

FRAME_MS = 40
QUIET_FRAMES = 5  # 200 ms: a session is cut where nobody speaks
WORD_MS = 500  # how long a word lasts, of which only the beginning is told


class Limits:
    """Seconds; the vendor's own are a minute a session and ten without data.

    Attributes:
        speed, burst_s: How much faster than it was spoken sound is passed on, and how much at once.
        cut_from_s, cut_s: A session is ended at a pause from the first on, wherever it is at the second.
        pause_s: So long without sound ends the session; another one begins with the next sound.
        eos_s: Silence after which the vendor ends it.
        first_s, finish_s: Until the first result after speech, and until the last one after the end.
    """

    speed = 1.25
    burst_s = 1.0
    cut_from_s = 45.0
    cut_s = 57.0
    pause_s = 4.0
    eos_s = 3.0
    first_s = 10.0
    finish_s = 5.0


class End(Enum):
    """Why a session is over."""

    SOUND = "the sound has ended"
    OURS = "it was long, or the speaker paused: the sound goes on where it stopped"
    VENDORS = "the vendor ended it: the tape is wound back to what it did not listen to"


class Session:
    """Passes `tape` on through `socket` until one of them ends. For one use."""

    def __init__(self, socket: WebSocket, tape: Tape, first: dict[str, Any], limits: Limits) -> None:
        """`first`: the `common` and `business` of the first frame."""
        self._socket = socket
        self._tape = tape
        self._first = first
        self._limits = limits
        self._start = tape.position
        self._format = {"format": f"audio/L16;rate={tape.rate}", "encoding": "raw"}
        self._end: End | None = None
        self._is_cut = False  # by a number of the vendor's
        self.table = Table()
        self._finished_at = 0.0
        self._spoken_at = 0.0

    def run(self) -> Generator[TranscriptPartial | TranscriptFinal, None, End]:
        """Partials, at most one final, and why it ended.

        Raises:
            VendorError: It broke; what had been heard was yielded before.
        """
        table = self.table
        sender = gevent.spawn(self._send)
        try:
            while True:
                try:
                    over = yield from self._hear(table)
                except VendorError:
                    yield from self._final(table)
                    raise
                if over:
                    sender.kill()
                    end = End.VENDORS if self._is_cut or self._end is None else self._end
                    if end is End.VENDORS:
                        self._wind_back(table)
                    yield from self._final(table)
                    return end
        finally:
            sender.kill()

    def _hear(self, table: Table) -> Generator[TranscriptPartial, None, bool]:
        """What came since the last time; True when it was the last."""
        for message in self._receive(table):
            frame = orjson.loads(message)
            code = int(frame.get("code", 0))
            if code in OVER:
                log.info("iflytek ended a session code=%d sid=%.80s", code, frame.get("sid"))
                self._is_cut = True
                return True
            if code:
                meaning = meaning_of(code)
                log.warning("iflytek code=%d sid=%.80s: %s", code, frame.get("sid"), meaning.english)
                raise meaning.error()
            data = frame["data"]
            if "result" in data:
                before = table.text
                table.take(data["result"])
                if data["status"] != 2 and table.text not in ("", before):
                    yield TranscriptPartial(table.text)
            if data["status"] == 2:
                log.debug("iflytek ended a session sid=%.80s", frame.get("sid"))
                return True
        return False

    def _receive(self, table: Table) -> list[bytes]:
        """Messages; none when a moment passed without one.

        Raises:
            VendorOverloaded: The connection broke off.
            VendorTimeout: The vendor said nothing for too long.
        """
        messages = messages_soon(self._socket)
        if messages is not None:
            return messages
        now = monotonic()
        if self._finished_at and now - self._finished_at >= self._limits.finish_s:
            log.warning("iflytek gave no last result in time")
            return [orjson.dumps({"data": {"status": 2}})]
        if not table.text and self._spoken_at and now - self._spoken_at >= self._limits.first_s:
            raise VendorTimeout("The recogniser did not answer in time.")
        return []

    def _final(self, table: Table) -> Generator[TranscriptFinal, None, None]:
        if table.text.strip():
            base_ms = ms_of(self._start, self._tape.rate)
            end_ms = max(ms_of(self._tape.position, self._tape.rate), base_ms)
            yield TranscriptFinal(table.text, min(base_ms + (table.first_ms or 0), end_ms), end_ms)

    def _wind_back(self, table: Table) -> None:
        """To the end of the last word heard. Without any, so far as the vendor must have heard silence."""
        rate = self._tape.rate
        if table.last_ms is not None:
            place = self._start + bytes_of((table.last_ms + WORD_MS) / 1000, rate)
        else:
            place = self._tape.position - bytes_of(self._limits.eos_s, rate)
        self._tape.back_to(max(place, self._start + bytes_of(FRAME_MS / 1000, rate)))

    def _send(self) -> None:
        """Pass the sound on; runs in a greenlet of its own."""
        limits, rate = self._limits, self._tape.rate
        size = bytes_of(FRAME_MS / 1000, rate)
        status, quiet, began, sent = 0, 0, monotonic(), 0
        end = End.OURS
        while (seconds := sent / (2 * rate)) < limits.cut_s:
            if seconds >= limits.cut_from_s and quiet >= QUIET_FRAMES:
                break
            ahead_s = seconds - limits.burst_s - (monotonic() - began) * limits.speed
            if ahead_s > 0:
                gevent.sleep(ahead_s / limits.speed)
            piece = self._tape.read(size, limits.pause_s)
            if not piece:
                end = End.OURS if piece is None else End.SOUND
                break
            quiet = quiet + 1 if peak(piece) < QUIET_PEAK else 0
            if not quiet and not self._spoken_at:
                self._spoken_at = monotonic()
            self._socket.send(self._frame(status, piece))
            status = 1
            sent += len(piece)
        if not status:
            self._socket.send(self._frame(0, b""))
        self._socket.send(orjson.dumps({"data": {"status": 2}}))
        self._end, self._finished_at = end, monotonic()

    def _frame(self, status: int, piece: bytes) -> bytes:
        data = {"status": status, **self._format, "audio": base64.b64encode(piece).decode()}
        return orjson.dumps({**self._first, "data": data} if status == 0 else {"data": data})
