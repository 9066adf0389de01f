"""Entries of a turn's log as Socket.IO packets, each encoded once for all who watch."""

from __future__ import annotations

from typing import Any

import orjson

from services.relay.log import Rewind, Span, TurnLog
from services.relay.wire import rewind_to_wire, span_to_wire
from sockets.serving.frame import BinaryEvent, Frame


class Encoder:
    """Writes the frames of one namespace."""

    def __init__(self, namespace: str) -> None:
        self._namespace = namespace.encode()
        self._delta = b"42" + self._namespace + (
            b',["turn_delta",{"turn":"%b","epoch":%d,"offset":%d,"count":%d,"kind":"%b","text":%b}]'
        )

    def event(self, name: str, payload: dict[str, Any]) -> Frame:
        """Any event, as a whole packet."""
        return Frame(b"42%b,%b" % (self._namespace, orjson.dumps([name, payload])))

    def binary(self, name: str, payload: dict[str, Any], field: str, data: bytes) -> Frame:
        """An event with one attachment."""
        whole = {**payload, field: {"_placeholder": True, "num": 0}}
        return BinaryEvent(b"451-%b,%b" % (self._namespace, orjson.dumps([name, whole])), data)

    def after(self, log: TurnLog, offset: int) -> list[tuple[Frame, int]]:
        """What follows `offset`: frames, each with the last offset it holds.

        The frame written last is kept in the log's cache, for the turn's other viewers at the same place.
        """
        cached = log.cache
        if cached is not None and cached[0] == offset and cached[1] == log.offset and cached[2] is self:
            return cached[3]  # type: ignore[no-any-return]
        if offset == log.offset - 1 and (newest := log.newest()) is not None:  # live, by far the most frequent
            kind, text = newest
            frames = [(self._piece(log, log.offset, 1, kind, text), log.offset)]
        else:
            frames = [(self._span(log, span), span.last) for span in log.read(offset)]
        if len(frames) == 1:
            log.cache = (offset, log.offset, self, frames)
        return frames

    def rewind(self, log: TurnLog, rewind: Rewind) -> Frame:
        return self.event(*rewind_to_wire(log.turn_id, rewind))

    def _span(self, log: TurnLog, span: Span) -> Frame:
        if span.event is None:
            return self._piece(log, span.offset, span.count, span.kind, span.text)
        return self.event(*span_to_wire(log.turn_id, log.epoch, span))

    def _piece(self, log: TurnLog, offset: int, count: int, kind: str, text: str) -> Frame:
        return Frame(
            self._delta % (log.turn_id.encode(), log.epoch, offset, count, kind.encode(), orjson.dumps(text))
        )
