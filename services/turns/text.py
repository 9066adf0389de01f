"""Text turns: a question to a model, or another answer to it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from config import TurnSettings
from db.models import Turn
from db.unit_of_work import UnitOfWork
from services.clock import Clock
from services.events import TurnEnded
from services.identity import Identity
from services.notes import Notes
from services.providers.base import ChatRequest, ModelCard
from services.providers.catalogue import Catalogue
from services.providers.route import Route
from services.quota.estimate import completion_tokens
from services.quota.ledger import Ledger
from services.relay.redis_log import RedisLog
from services.relay.runner import Outcome, ProviderEvent
from services.relay.watchdog import Deadline
from services.turns.admission import Admission
from services.turns.following import Following
from services.turns.meter import TokenMeter
from services.turns.opening import Opened, Opening
from services.turns.order import TextOrder, keep_order
from services.turns.records import free_old_name
from services.turns.request import AgainRequest, TextRequest
from services.turns.running import Launch, RunningTurn
from services.turns.settlement import Settlement
from services.turns.showing import Showing, Shown
from services.turns.turns import Turns

OpenTurn = Callable[[Session, ModelCard], Opened]


class TextTurns:
    """Starts text turns; `Turns` runs them."""

    def __init__(
        self,
        *,
        turns: Turns,
        uow: UnitOfWork,
        opening: Opening,
        settlement: Settlement,
        admission: Admission,
        catalogue: Catalogue,
        ledger: Ledger,
        notes: Notes,
        clock: Clock,
        settings: TurnSettings,
        showing: Showing,
    ) -> None:
        self._showing = showing
        self._turns = turns
        self._uow = uow
        self._opening = opening
        self._settlement = settlement
        self._admission = admission
        self._catalogue = catalogue
        self._ledger = ledger
        self._notes = notes
        self._clock = clock
        self._settings = settings

    def start(self, identity: Identity, request: TextRequest) -> Following:
        """Ask a model. The same `client_id` within 24 hours gives the same turn.

        Raises:
            ChatError: Refused; nothing was stored or reserved, and the `client_id` is free.
        """

        def open_turn(session: Session, card: ModelCard) -> Opened:
            return self._opening.ask(session, identity, request, card)

        return self._turns.once(identity, request.client_id, lambda: self._begin(identity, request, open_turn))

    def again(self, identity: Identity, again: AgainRequest) -> Following:
        """Answer a question once more: a new turn, and a new message beside the first answer."""
        request = TextRequest(again.client_id, text="", model=again.model)

        def open_turn(session: Session, card: ModelCard) -> Opened:
            return self._opening.again(session, identity, again, card)

        return self._turns.once(identity, again.client_id, lambda: self._begin(identity, request, open_turn))

    def _begin(self, identity: Identity, request: TextRequest, open_turn: OpenTurn) -> RunningTurn | None:
        route = self._catalogue.find(request.model if request.model is not None else self._catalogue.default().id)

        def work(session: Session) -> tuple[Opened, TextOrder]:
            free_old_name(session, identity.user_id, request.client_id, self._clock.now_ms())
            opened = open_turn(session, route.card)
            order = self._order(identity, request, opened, route)
            if self._turns.handing is not None:
                keep_order(session, order)
            return opened, order

        self._admission.enter(identity.user_id)
        try:
            opened, order = self._uow.run(work)
        except BaseException as error:
            self._admission.leave(identity.user_id)
            if isinstance(error, IntegrityError):
                return None  # another process was quicker with this client_id
            raise
        running = self._turns.launch(self._launch(order, opened.shown, route, order.asked()))
        self._notes.conversation_changed(identity.user_id, opened.conversation, opened.version, title=opened.title)
        self._notes.quota_changed(identity.user_id, tokens=opened.quota.tokens, pictures=opened.quota.pictures)
        return running

    def _order(self, identity: Identity, request: TextRequest, opened: Opened, route: Route) -> TextOrder:
        return TextOrder(
            user_id=identity.user_id,
            turn_id=opened.turn_id,
            conversation=opened.conversation,
            message=opened.message,
            model=route.card.id,
            messages=opened.shown.messages,
            temperature=request.temperature if request.temperature is not None else self._settings.temperature,
            top_p=request.top_p,
            granted=opened.granted,
            short=opened.short,
            prompt_estimate=opened.prompt_estimate,
        )

    def resume(self, row: Turn, packed: bytes, log: RedisLog) -> RunningTurn:
        """Go on with a turn that another worker began: after its text where a model can, else from the start.

        Raises:
            ChatError: Nobody can answer it now.
            ValueError, TypeError: Another version of this server began it, in a form that is not known here; or
                what lies in Redis is not what the database says of whose turn it is.
        """
        order = TextOrder.unpacked(packed)
        if (order.turn_id, order.user_id, order.message) != (row.id, row.user_id, row.message_id):
            raise ValueError("This is another turn's order.")
        route = self._catalogue.find(order.model)
        shown = Shown(order.messages, {})
        if any(message.pictures for message in order.messages):
            with self._uow.read() as session:
                shown = self._showing.again(session, order.user_id, order.messages)
        asked, text = order.asked(), log.answer()
        goes_on = bool(text) and route.continues
        if goes_on:
            left = max(order.granted - completion_tokens(text), 1)
            asked = replace(asked, prefix=text, max_tokens=left)
        launch = self._launch(order, shown, route, asked)
        if goes_on:
            launch.meter.spend(text)  # may ask for more, as the first worker's did
        log.rewind(log.offset if goes_on else 0)
        return self._turns.resume(launch, log, goes_on=goes_on)

    def _launch(self, order: TextOrder, shown: Shown, route: Route, asked: ChatRequest) -> Launch:
        def showing(deadline: Deadline) -> Iterator[ProviderEvent]:
            yield from route.stream(replace(asked, messages=self._showing.load(shown)), deadline)

        def settle(outcome: Outcome) -> TurnEnded:
            if order.short and outcome.reason == "length":
                outcome = replace(outcome, reason="quota")
            return self._settlement.settle(
                order.turn_id, outcome, message_id=order.message, prompt_estimate=order.prompt_estimate
            )

        return Launch(
            user_id=order.user_id,
            turn_id=order.turn_id,
            conversation=order.conversation,
            message=order.message,
            stream=showing if shown.records else lambda deadline: route.stream(asked, deadline),
            meter=TokenMeter(turn_id=order.turn_id, granted=order.granted, ledger=self._ledger, uow=self._uow),
            settle=settle,
            order=order.packed() if self._turns.handing is not None else b"-",
        )
