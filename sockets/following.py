"""What every namespace with turns shares: attach, detach, stop and sync, on behalf of the connection that asks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from services.turns.following import Following
from services.turns.turns import Turns
from sockets.delivery import Delivery
from sockets.events import AttachTurn, DetachTurn, StopTurn, Sync
from sockets.namespace import Ack, BaseNamespace, Entrance, answers


class FollowingNamespace(BaseNamespace):
    """A namespace whose clients follow turns, whichever namespace began them."""

    def __init__(
        self,
        namespace: str,
        *,
        entrance: Entrance,
        delivery: Delivery,
        turns: Turns,
        count_error: Callable[[str], None],
    ) -> None:
        super().__init__(namespace, entrance=entrance, delivery=delivery, count_error=count_error)
        self._turns = turns

    @answers(AttachTurn)
    def on_turn_attach(self, sid: str, event: AttachTurn) -> Ack:
        following = self._turns.attach(self.identity(sid), event.turn, event.position)
        self.follow(sid, following, event.window_s)
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

    def follow(self, sid: str, following: Following, window_s: float) -> None:
        """Send `sid` what follows the place it may follow the turn from."""
        self.delivery.follow(self.namespace, sid, following.log, following.start, window_s=window_s)

    def place(self, following: Following) -> dict[str, Any]:
        """What the acknowledgement of a start tells: `offset` is where its entries begin, 0 unless the log has gone."""
        return {
            "turn": following.log.turn_id,
            "epoch": following.log.epoch,
            "offset": following.kept,
            **following.text_to_wire(),
        }
