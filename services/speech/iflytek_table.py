"""What iFlytek's dictation has heard in a session, corrections applied: pure. Source: docs/providers/iflytek-asr.md."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

FRAME_MS = 10
"""The vendor counts time in frames of so many milliseconds."""


class Table:
    """Pieces by their number `sn`; a piece may take the place of others (`pgs: "rpl"`).

    Attributes:
        first_ms, last_ms: Where the first and the last word began in the session; None before there is one.
    """

    def __init__(self) -> None:
        self._pieces: dict[int, str] = {}
        self.first_ms: int | None = None
        self.last_ms: int | None = None

    def take(self, result: Mapping[str, Any]) -> None:
        """Apply one `data.result`."""
        if result.get("pgs") == "rpl":
            first, last = result["rg"]
            for number in [number for number in self._pieces if first <= number <= last]:
                del self._pieces[number]
        words = result.get("ws", ())
        self._pieces[int(result["sn"])] = "".join(str(word["cw"][0]["w"]) for word in words if word["cw"])
        # Marks and empty words have no time of their own: theirs is 0.
        times = [int(word.get("bg", 0)) * FRAME_MS for word in words if word["cw"] and str(word["cw"][0]["w"]).strip()]
        if times:
            self.first_ms = times[0] if self.first_ms is None else self.first_ms
            self.last_ms = max(self.last_ms or 0, *times)

    @property
    def text(self) -> str:
        """Everything heard so far."""
        return "".join(self._pieces[number] for number in sorted(self._pieces))
