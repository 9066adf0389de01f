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
from sockets.events import AttachTurn, DetachTurn, RegenerateTurn, StartTurn, StopTurn, Sync
from sockets.namespace import Ack, BaseNamespace, Entrance, answers


class TextNamespace(BaseNamespace):
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
        super().__init__("/text", entrance=entrance, delivery=delivery, count_error=count_error)
        self._turns = turns
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

    @answers(AttachTurn)
    def on_turn_attach(self, sid: str, event: AttachTurn) -> Ack:
        following = self._turns.attach(self.identity(sid), event.turn, event.position)
        self._follow(sid, following, event.window_s)
        return {
            "turn": event.turn,
            "status": following.status,
            "epoch": following.log.epoch,
            "offset": following.log.offset,
            "from": following.kept,
            **following.text_to_wire(),
        }

    @answers(StopTurn)
    def on_turn_stop(self, sid: str, event: StopTurn) -> Ack:
        ended = self._turns.stop(self.identity(sid), turn_id=event.turn, client_id=event.client_id)
        return {"turn": ended.turn, "status": ended.status, "offset": ended.offset, "length": ended.length}

    @answers(DetachTurn)
    def on_turn_detach(self, sid: str, event: DetachTurn) -> Ack:
        self.delivery.detach(self.namespace, sid, event.turn)
        return {}

    @answers(Sync)
    def on_sync(self, sid: str, event: Sync) -> Ack:
        return {"running": [running.to_wire() for running in self._turns.running(self.identity(sid))]}

    def _started(self, sid: str, following: Following, window_s: float) -> Ack:
        """The caller follows from the beginning: `offset` is where its entries start, 0 unless the log has gone."""
        self._follow(sid, following, window_s)
        return {
            "turn": following.log.turn_id,
            "conversation": following.conversation,
            "message": following.message,
            "epoch": following.log.epoch,
            "offset": following.kept,
            **following.text_to_wire(),
        }

    def _follow(self, sid: str, following: Following, window_s: float) -> None:
        self.delivery.follow(self.namespace, sid, following.log, following.start, window_s=window_s)
