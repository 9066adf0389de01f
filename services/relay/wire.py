"""A log's entries as PROTOCOL names and shapes them, for every edge."""

from __future__ import annotations

from typing import Any

from services.relay.log import Rewind, Span


def span_to_wire(turn_id: str, epoch: int, span: Span) -> tuple[str, dict[str, Any]]:
    """The event's name and payload of any span."""
    head: dict[str, Any] = {"turn": turn_id, "epoch": epoch, "offset": span.offset}
    if span.event is not None:
        return span.event.name, {**head, **span.event.to_wire()}
    return "turn_delta", {**head, "count": span.count, "kind": span.kind, "text": span.text}


def rewind_to_wire(turn_id: str, rewind: Rewind) -> tuple[str, dict[str, Any]]:
    """`turn_rewind` for a reader of an older epoch."""
    return "turn_rewind", {
        "turn": turn_id,
        "epoch": rewind.epoch,
        "offset": rewind.offset,
        "length": rewind.length,
    }
