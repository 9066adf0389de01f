"""Chat models that see, as readers of pictures."""

from __future__ import annotations

import base64
from typing import Any

from services.errors import ContentBlocked
from services.events import Stop
from services.ocr.base import TASKS, AttemptClock, ReaderCard, Reading, ReadRequest
from services.ocr.prompts import question_of
from services.providers.base import ChatMessage, ChatRequest
from services.providers.catalogue import Catalogue

MAX_BYTES = 5 * 1_048_576
"""In base64 under 7 MB: DashScope takes 10, and others take no more than that."""
MAX_SIDE = 8_000


class Seeing:
    """A `PictureReader` over the catalogue of chat models; their retries and stand-ins hold here, too."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue

    def readers(self) -> tuple[ReaderCard, ...]:
        return tuple(
            ReaderCard(
                id=card.id,
                name=card.name,
                provider=card.provider,
                vendor_model=card.id,
                tasks=TASKS,
                available=card.available,
                max_bytes=MAX_BYTES,
                max_side=MAX_SIDE,
            )
            for card in self._catalogue.cards()
            if card.vision
        )

    def read(self, request: ReadRequest, clock: AttemptClock) -> Reading:
        route = self._catalogue.find(request.model)
        message = ChatMessage("user", question_of(request), (data_url(request.media_type, request.data),))
        chat = ChatRequest("", (message,), max_tokens=route.card.max_output_tokens, user=request.user)
        for piece in route.stream(chat, clock):
            if not isinstance(piece, Stop):
                yield piece
            elif piece.reason == "content_filter":
                raise ContentBlocked("The provider's safety review stopped the answer.")
            else:
                # Where the text stands such models do not tell.
                result: dict[str, Any] | None = {"regions": []} if request.task == "ocr" else None
                yield Stop(piece.reason, piece.usage, result)

    def close(self) -> None:
        """The catalogue is closed by its owner."""


def data_url(media_type: str, data: bytes) -> str:
    """A picture as chat models are sent it."""
    return f"data:{media_type};base64,{base64.b64encode(data).decode()}"
