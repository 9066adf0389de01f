"""Waiting for a recogniser a moment at a time, so that its limits can be looked at in between."""

from __future__ import annotations

import gevent

from services.errors import VendorOverloaded
from services.wire.websocket_client import WebSocket

LOOK_S = 0.25


def messages_soon(socket: WebSocket) -> list[bytes] | None:
    """What the recogniser says; None when a moment passed without a word.

    Raises:
        VendorOverloaded: The connection broke off.
    """
    try:
        with gevent.Timeout(LOOK_S) as limit:
            messages = socket.receive()
    except gevent.Timeout as fired:
        if fired is not limit:
            raise
        return None
    if not messages:
        raise VendorOverloaded("The recogniser broke off.")
    return messages
