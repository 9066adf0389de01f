"""Which histories Ark keeps for us, and which turns are expected to go on from one."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass

import orjson

from services.clock import Clock
from services.providers.base import ChatMessage, ChatRequest

MAX_HISTORIES = 4_096


@dataclass(frozen=True, slots=True)
class Context:
    """A history at the vendor's. `until`: on our monotonic clock, a little before the vendor forgets it."""

    id: str
    until: float


class ContextMemory:
    """Histories by the exact messages they hold: what a next turn will bring if the conversation simply goes on.

    A history that was answered is expected, with a context that holds it or without one. An edited, branched or
    shortened conversation brings another history and finds nothing here: no context is ever used for messages it does
    not hold. A context is taken out while it is used, so that only one call at a time is in it.

    Shared by all turns; never yields.
    """

    def __init__(self, clock: Clock, size: int = MAX_HISTORIES) -> None:
        self._clock = clock
        self._size = size
        self._known: OrderedDict[bytes, Context | None] = OrderedDict()  # the least recently used first

    def expects(self, key: bytes) -> bool:
        """Whether a turn was answered whose continuation has this history."""
        return key in self._known

    def take(self, key: bytes) -> Context | None:
        """The context that holds this history, now the caller's alone; None when there is none that still lives."""
        context = self._known.pop(key, None)
        return context if context is not None and context.until > self._clock.monotonic() else None

    def keep(self, key: bytes, context: Context | None) -> None:
        """Expect this history. Of two contexts that hold it the first is kept."""
        context = self._known.pop(key, None) or context
        self._known[key] = context
        if len(self._known) > self._size:
            self._known.popitem(last=False)

    def __len__(self) -> int:
        return len(self._known)


def history_key(request: ChatRequest, messages: Iterable[ChatMessage]) -> bytes:
    """A digest of messages as this user would send them to this model."""
    exact = [request.user, request.model, [(message.role, message.text) for message in messages]]
    return hashlib.sha256(orjson.dumps(exact)).digest()
