"""What the tests of faults ask a model for, and how they wait for what sends no event."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gevent

PACED = "pieces=120 rate=40 size=6"
"""To the `benchmark` model: an answer of three seconds."""
LAST_PIECE = "00119 "


def until(true: Callable[[], Any]) -> None:
    """Ask until it is true; a minute at most."""
    with gevent.Timeout(60, AssertionError("It never became true.")):
        while not true():
            gevent.sleep(0.05)
