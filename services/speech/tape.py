"""Sound that can be heard again from a place just passed."""

from __future__ import annotations

from services.speech.base import Audio


class Tape:
    """An `Audio` over another one that keeps its last seconds.

    Attributes:
        position: Bytes given so far, less what was wound back.
    """

    def __init__(self, audio: Audio, *, keep_bytes: int) -> None:
        self.rate = audio.rate
        self.position = 0
        self._audio = audio
        self._keep_bytes = keep_bytes
        self._kept = bytearray()
        self._end = 0

    def read(self, size: int, timeout_s: float | None = None) -> bytes | None:
        """As `Audio.read`; what is heard again may come in a shorter piece."""
        if (behind := self._end - self.position) > 0:
            start = len(self._kept) - behind
            again = bytes(self._kept[start : start + size])
            self.position += len(again)
            return again
        piece = self._audio.read(size, timeout_s)
        if piece:
            self._kept += piece
            del self._kept[: max(len(self._kept) - self._keep_bytes, 0)]
            self._end += len(piece)
            self.position = self._end
        return piece

    def back_to(self, position: int) -> None:
        """Wind back, as far as it is kept. Never forward."""
        self.position = min(max(position, self._end - len(self._kept)), self.position)
