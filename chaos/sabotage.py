"""Faults on purpose, to see that the checks find them."""

from __future__ import annotations

from typing import Any, Protocol

SPOILED_AFTER = 12
"""Entries of a turn that a spoiled line lets through first."""


class Spoiler(Protocol):
    """Stands between a line and its viewer."""

    def pass_on(self, event: str, body: dict[str, Any]) -> dict[str, Any] | None:
        """What the viewer is given in the place of this event; None for nothing."""


class DropEntry:
    """One entry of one turn never arrives, however often it is asked for."""

    def __init__(self) -> None:
        self._turn, self._offset = "", 0

    def pass_on(self, event: str, body: dict[str, Any]) -> dict[str, Any] | None:
        if event != "turn_delta":
            return body
        offset, through = body["offset"], body["offset"] + body["count"] - 1
        if not self._turn and through > SPOILED_AFTER:
            self._turn, self._offset = body["turn"], through
        return None if body["turn"] == self._turn and offset <= self._offset <= through else body


class SwallowEntry:
    """One piece of one turn is missing, and the offsets behind it are changed so that nothing shows."""

    def __init__(self) -> None:
        self._turn, self._missing, self._from = "", 0, 0

    def pass_on(self, event: str, body: dict[str, Any]) -> dict[str, Any] | None:
        if not self._turn and event == "turn_delta" and body["offset"] > SPOILED_AFTER:
            self._turn, self._missing, self._from = body["turn"], body["count"], body["offset"]
            return None
        if body["turn"] == self._turn and body["offset"] > self._from:
            return {**body, "offset": body["offset"] - self._missing}
        return body


SPOILERS: dict[str, type[DropEntry | SwallowEntry]] = {"drop-entry": DropEntry, "swallow-entry": SwallowEntry}
