"""Whatever one worker can tell a user's devices, another worker's devices are told as it is."""

from __future__ import annotations

import inspect
import json
from typing import Any

from services.notes import Notes

EXAMPLES: dict[str, Any] = {
    "user_id": "u_1", "conversation": "c_1", "version": 3, "title": "春", "deleted": True,
    "turn": "t_1", "client_id": "c-1",
}  # fmt: skip


def test_every_note_passes_between_workers() -> None:
    """With all it may hold: a field that the other end does not know would be taken for a forgery."""
    here, there = Notes(), Notes()
    told: dict[str, list[Any]] = {"here": [], "there": []}
    here.subscribe(lambda *note: told["here"].append(note))
    there.subscribe(lambda *note: told["there"].append(note))
    here.tell_others(lambda said: there.hear(json.loads(json.dumps(said))))
    notes = [
        (name, method)
        for name, method in inspect.getmembers(here, inspect.ismethod)
        if next(iter(inspect.signature(method).parameters), "") == "user_id" and not name.startswith("_")
    ]
    for _, method in notes:
        method(**{name: EXAMPLES.get(name, 7) for name in inspect.signature(method).parameters})
    assert len(told["here"]) == len(notes) >= 2
    assert told["there"] == told["here"]
