"""An answer of Ark's, with what its inspection found and whether it is to be relied on. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson

from services.events import ReasoningDelta, TextDelta
from services.providers.answer_reader import AnswerReader
from services.providers.ark_faults import ArkFaults


class ArkReader(AnswerReader):
    """Reads Ark's answers: an inspection that struck ends them as filtered, whatever reason is given."""

    __slots__ = ("_is_plain", "_struck")

    def __init__(self, faults: ArkFaults) -> None:
        super().__init__(faults.of_frame)
        self._struck = self._is_plain = False

    @property
    def is_exact(self) -> bool:
        """The answer came to its end, and what we read is what the vendor has."""
        return self.reason == "stop" and self._is_plain and self.is_done and not self._is_repaired

    def read(self, payload: bytes) -> Sequence[TextDelta | ReasoningDelta]:
        pieces = super().read(payload)
        if b'"moderation_hit_type"' in payload and _strikes(payload):
            self._struck = True
        if self._struck and self.reason is not None:
            self.reason = "content_filter"
        return pieces

    def _finish(self, finish: Any) -> None:
        self._is_plain = finish == "stop"
        super()._finish(finish)


def _strikes(payload: bytes) -> bool:
    try:
        choices = orjson.loads(payload).get("choices") or ()
        return any(choice.get("moderation_hit_type") for choice in choices)
    except (orjson.JSONDecodeError, AttributeError, TypeError):
        return False
