"""The sound of one voice turn between the socket and the recogniser: each byte taken once, bounded, in order."""

from __future__ import annotations

from collections import deque
from enum import Enum

from gevent.event import Event

from config import VoiceSettings
from services.clock import Clock
from services.speech.pcm import QUIET_PEAK, bytes_of, ms_of, peak


class Verdict(Enum):
    """What became of a frame."""

    TAKEN = "taken, or had been before"
    HOLE = "bytes before it are missing: nothing was taken"
    OVERRUN = "too much waits already, or it came too fast: nothing was taken"
    OVER = "the utterance has ended: nothing was taken"


class VoiceSession:
    """A `services.speech.base.Audio` that is fed by frames.

    Shared state: `feed` and `end` are called from sockets' readers, `read` from one greenlet of the recogniser's.
    None yields between looking and acting; only `read` and `wait_for_room` wait.

    Attributes:
        next: The first byte not taken yet.
        ended_by: `client`, `silence`, `idle`, `length`, `recogniser`, `turn` or `moved` (to another worker); empty
            while it goes on.
        fed_at, ended_at: Monotonic seconds of the last frame and of the end; `ended_at` is 0 before.
        started_ms: Where in the utterance it began, for one that another worker took the first part of.
        sid: The connection that sent the last frame; `is_acked` is False while it waits for a `voice_ack`.
    """

    __slots__ = (
        "_ahead_bytes",
        "_burst_bytes",
        "_bytes_a_second",
        "_came",
        "_clock",
        "_left",
        "_max_bytes",
        "_pieces",
        "_quiet_bytes",
        "_silence_bytes",
        "_started_at",
        "_waiting",
        "_wanted",
        "ended_at",
        "ended_by",
        "fed_at",
        "is_acked",
        "next",
        "rate",
        "sid",
        "started_ms",
        "turn_id",
        "user_id",
    )

    def __init__(
        self,
        turn_id: str,
        user_id: str,
        *,
        rate: int,
        settings: VoiceSettings,
        clock: Clock,
        is_live: bool = True,
        start: int = 0,
    ) -> None:
        """
        Args:
            start: The first byte that another worker has not taken.
        """
        self.turn_id = turn_id
        self.user_id = user_id
        self.rate = rate
        self.next = start
        self.started_ms = ms_of(start, rate)
        self.ended_by = ""
        self.ended_at = 0.0
        self.sid = ""
        self.is_acked = True
        self._clock = clock
        self.fed_at = self._started_at = clock.monotonic()
        self._ahead_bytes = bytes_of(settings.ahead_s, rate)
        self._max_bytes = bytes_of(settings.max_s, rate)
        self._bytes_a_second = bytes_of(settings.max_speed, rate) if is_live else 0
        self._burst_bytes = start + self._ahead_bytes
        self._silence_bytes = bytes_of(settings.silence_s, rate) if is_live else 0
        self._quiet_bytes = 0
        self._pieces: deque[bytes] = deque()
        self._waiting = 0
        self._wanted = 0
        self._came = Event()
        self._left = Event()

    @property
    def audio_ms(self) -> int:
        """How long the sound taken so far lasts."""
        return ms_of(self.next, self.rate)

    @property
    def waiting_ms(self) -> int:
        """How long the sound lasts that waits for the recogniser."""
        return ms_of(self._waiting, self.rate)

    def feed(self, at: int, pcm: bytes) -> Verdict:
        """Take the bytes from `at` on, as far as they are new. Never yields."""
        if self.ended_at:
            return Verdict.OVER
        start, size = self.next, len(pcm)
        if at != start:
            if at > start:
                return Verdict.HOLE
            if at + size <= start:
                return Verdict.TAKEN
            pcm = pcm[start - at :]
            size = len(pcm)
        # A frame larger than all that may wait is taken when nothing waits.
        if self._waiting and self._waiting + size > self._ahead_bytes:
            return Verdict.OVERRUN
        now = self._clock.monotonic()
        if self._bytes_a_second:
            allowed = self._burst_bytes + (now - self._started_at) * self._bytes_a_second
            if start and start + size > allowed:
                return Verdict.OVERRUN
        if start + size > self._max_bytes:
            pcm = pcm[: max(self._max_bytes - start, 0)]
            size = len(pcm)
        self.fed_at = now
        if size:
            self._pieces.append(pcm)
            self._waiting += size
            self.next = start + size
            if self._waiting >= self._wanted:  # waking the reader for less would be in vain
                self._came.set()
        if self.next >= self._max_bytes:
            self.end("length")
        return Verdict.TAKEN

    def end(self, by: str) -> None:
        """No more will come; what has come is still read. The first one to say so counts. Never yields."""
        if not self.ended_at:
            self.ended_by, self.ended_at = by, self._clock.monotonic()
            self._came.set()
            self._left.set()

    def wait_for_room(self, timeout_s: float) -> None:
        """Wait until the recogniser has taken something, the utterance has ended, or the time is over."""
        self._left.clear()
        if self._waiting and not self.ended_at:
            self._left.wait(timeout_s)

    def read(self, size: int, timeout_s: float | None = None) -> bytes | None:
        while self._waiting < size and not self.ended_at:
            self._wanted = size
            self._came.clear()
            if not self._came.wait(timeout_s):
                return None
        return self._take(size)

    def _take(self, size: int) -> bytes:
        pieces = self._pieces
        if pieces and len(pieces[0]) == size:  # the usual case: frames are read as they came
            data = pieces.popleft()
        else:
            parts = []
            wanted = min(size, self._waiting)
            while wanted:
                piece = pieces.popleft()
                if len(piece) > wanted:
                    pieces.appendleft(piece[wanted:])
                    piece = piece[:wanted]
                parts.append(piece)
                wanted -= len(piece)
            data = b"".join(parts)
        self._waiting -= len(data)
        self._left.set()
        if self._silence_bytes and data:
            self._listen_for_silence(data)
        return data

    def _listen_for_silence(self, data: bytes) -> None:
        self._quiet_bytes = self._quiet_bytes + len(data) if peak(data) < QUIET_PEAK else 0
        if self._quiet_bytes >= self._silence_bytes:
            self.end("silence")
