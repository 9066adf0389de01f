"""`/text`: start, stop and attach to turns; pieces go out as `turn_delta`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from services.identity import Identity
from services.providers.catalogue import Catalogue
from services.turns.following import Following
from services.turns.text import TextTurns
from services.turns.turns import Turns
from services.turns.welcome import Welcomes
from sockets.delivery import Delivery
from sockets.events import RegenerateTurn, StartTurn
from sockets.following import FollowingNamespace
from sockets.namespace import Ack, Entrance, answers


class TextNamespace(FollowingNamespace):
    """Translates events to `TextTurns`; has no logic of its own."""

    def __init__(
        self,
        *,
        entrance: Entrance,
        delivery: Delivery,
        turns: Turns,
        text_turns: TextTurns,
        catalogue: Catalogue,
        welcomes: Welcomes,
        count_error: Callable[[str], None],
    ) -> None:
        super().__init__("/text", entrance=entrance, delivery=delivery, turns=turns, count_error=count_error)
        self._text_turns = text_turns
        self._catalogue = catalogue
        self._welcomes = welcomes

    def welcome(self, identity: Identity) -> dict[str, Any]:
        models = [card.to_wire() for card in self._catalogue.cards()]
        return {**self._welcomes.for_user(identity), "models": models}

    @answers(StartTurn)
    def on_turn_start(self, sid: str, event: StartTurn) -> Ack:
        return self._started(sid, self._text_turns.start(self.identity(sid), event.request), event.window_s)

    @answers(RegenerateTurn)
    def on_turn_regenerate(self, sid: str, event: RegenerateTurn) -> Ack:
        return self._started(sid, self._text_turns.again(self.identity(sid), event.request), event.window_s)

    def _started(self, sid: str, following: Following, window_s: float) -> Ack:
        """The caller follows from the beginning."""
        self.follow(sid, following, window_s)
        return {**self.place(following), "conversation": following.conversation, "message": following.message}
