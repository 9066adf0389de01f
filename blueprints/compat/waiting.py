"""Questions of one conversation that come at once: one after the other, each with the answer before it."""

from __future__ import annotations

import gevent

from services.assembly import Services
from services.errors import Conflict
from services.identity import Identity
from services.turns.following import Following
from services.turns.request import TextRequest
from services.turns.running import RunningTurn

PATIENCE_S = 60.0
_ELSEWHERE_S = 0.2


def start_in_turn(services: Services, identity: Identity, request: TextRequest) -> Following:
    """Start a turn; while the conversation's last answer is being written, wait for its end.

    Raises:
        Conflict: It is still being written after `PATIENCE_S`.
        ChatError: As `TextTurns.start`.
    """
    deadline = services.clock.monotonic() + PATIENCE_S
    while True:
        try:
            return services.text_turns.start(identity, request)
        except Conflict as busy:
            left = deadline - services.clock.monotonic()
            if busy.field != "parent" or left <= 0:
                raise
            running = services.turns.running(identity)
            mine = next((turn for turn in running if turn.conversation == request.conversation), None)
            if isinstance(mine, RunningTurn):
                mine.runner.wait(left)
            else:
                gevent.sleep(_ELSEWHERE_S)  # another process writes it
