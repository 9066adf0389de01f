"""Image turns: a sentence becomes pictures."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, suppress

import gevent
from sqlalchemy import select

from db.errors import DatabaseBusy
from db.models import Turn
from db.unit_of_work import UnitOfWork
from services.errors import ChatError, Conflict, TooLarge, UnsupportedMedia, VendorOverloaded
from services.events import StateChanged, Stop
from services.identity import Identity
from services.images.base import Drawing, DrawRequest, Painter
from services.images.catalogue import Painters
from services.pictures.store import PictureRecord, Pictures
from services.relay.runner import ProviderEvent
from services.relay.watchdog import Limits
from services.turns.bare import Bare, BareTurns
from services.turns.following import Following
from services.turns.picture_request import DrawingRequest
from services.turns.running import RunningTurn
from services.turns.turns import Turns

LIMITS = Limits(first_piece_s=180.0, idle_s=180.0, total_s=240.0)
"""A job is given up after 180 seconds by its vendor's adapter; the rest is for fetching and storing."""


class ImageTurns:
    """Starts drawings; `Turns` runs them."""

    def __init__(
        self, *, turns: Turns, bare: BareTurns, painters: Painters, pictures: Pictures, uow: UnitOfWork
    ) -> None:
        self._turns = turns
        self._bare = bare
        self._painters = painters
        self._pictures = pictures
        self._uow = uow

    def start(self, identity: Identity, request: DrawingRequest) -> Following:
        """Have pictures drawn. The same `client_id` within 24 hours gives the same turn.

        Raises:
            ChatError: Refused; nothing was stored or reserved, and the `client_id` is free.
        """
        following = self._turns.once(identity, request.client_id, lambda: self._begin(identity, request))
        with self._uow.read() as session:
            kind = session.scalar(select(Turn.kind).where(Turn.id == following.log.turn_id))
        if kind != "draw":
            raise Conflict("This client_id means another kind of turn.", field="client_id")
        return following

    def _begin(self, identity: Identity, request: DrawingRequest) -> RunningTurn | None:
        painter, card = self._painters.find(request.model)
        width, height = request.size or card.size
        asked = DrawRequest(card.vendor_model, request.prompt, width, height, request.count, identity.user_id)
        bare = Bare(
            user_id=identity.user_id,
            client_id=request.client_id,
            kind="draw",
            model=card.id,
            pictures=request.count,
            limits=LIMITS,
            stream=lambda _: self._stream(identity.user_id, painter, asked),
        )
        return self._bare.begin(identity.user_id, lambda: bare)

    def _stream(self, user_id: str, painter: Painter, asked: DrawRequest) -> Iterator[ProviderEvent]:
        kept: list[PictureRecord] = []
        whole = False
        try:
            with closing(painter.draw(asked)) as steps:
                for step in steps:
                    if isinstance(step, StateChanged):
                        yield step
                    elif len(kept) < asked.count:
                        kept.append(self._keep(user_id, step))
            if not kept:
                raise VendorOverloaded("No picture came of it.")
            whole = True
            yield Stop("stop", result={"pictures": [record.to_wire() for record in kept]})
        finally:
            if not whole:  # stopped or failed: what is not paid for is not kept
                gevent.spawn(self._forget, user_id, kept)

    def _keep(self, user_id: str, drawing: Drawing) -> PictureRecord:
        """Store one. In a greenlet of its own: the turn's may be thrown into, and must not be inside a transaction."""
        keeping = gevent.spawn(self._pictures.add, user_id, drawing.data)
        try:
            record: PictureRecord = keeping.get()
        except (UnsupportedMedia, TooLarge) as error:
            raise VendorOverloaded("What the model's provider sent is no picture.") from error
        except BaseException:
            keeping.link_value(lambda done: gevent.spawn(self._forget, user_id, [done.value]))
            raise
        return record

    def _forget(self, user_id: str, records: list[PictureRecord]) -> None:
        for record in records:
            with suppress(ChatError, DatabaseBusy):  # the user sees it in the list, and can delete it
                self._pictures.remove(user_id, record.id)
