"""Which pictures go to a model that sees, and how they get there."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

from sqlalchemy.orm import Session

from services.errors import InvalidRequest, NotFound
from services.pictures.store import PictureRecord, Pictures
from services.providers.base import ChatMessage, ModelCard
from services.turns.seeing import MAX_BYTES, MAX_SIDE, data_url

MOST = 8
"""Pictures in one prompt; of a long conversation the newest."""
TOKENS = 1_300
"""What a picture counts at most with the usual vendors (Qwen-VL: 1,280)."""


@dataclass(frozen=True, slots=True)
class Shown:
    """A prompt whose pictures are known, but not loaded: `messages` name them by their ids."""

    messages: tuple[ChatMessage, ...]
    records: dict[str, PictureRecord]

    @property
    def tokens(self) -> int:
        """What the pictures count."""
        return TOKENS * len(self.records)


class Showing:
    """Finds a prompt's pictures while its turn is opened, and loads them when its vendor is asked."""

    def __init__(self, pictures: Pictures) -> None:
        self._pictures = pictures

    def check(self, session: Session, user_id: str, ids: Sequence[str], card: ModelCard) -> None:
        """Raise `InvalidRequest` for a model that does not see, `NotFound` for a picture that is not the user's."""
        if ids and not card.vision:
            raise InvalidRequest("This model does not see pictures; choose one that does.", field="pictures")
        for picture in ids:
            self._pictures.owned(session, user_id, picture, field="pictures")

    def choose(self, session: Session, user_id: str, messages: tuple[ChatMessage, ...], card: ModelCard) -> Shown:
        """The prompt with the pictures it can have: none for a model that does not see; none that were deleted."""
        records: dict[str, PictureRecord] = {}
        newest_first: list[ChatMessage] = []
        for message in reversed(messages):
            kept = []
            for picture in message.pictures if card.vision else ():
                if picture not in records and len(records) < MOST:
                    with suppress(NotFound):
                        records[picture] = self._pictures.owned(session, user_id, picture)
                if picture in records:
                    kept.append(picture)
            newest_first.append(replace(message, pictures=tuple(kept)))
        return Shown(tuple(reversed(newest_first)), records)

    def again(self, session: Session, user_id: str, messages: tuple[ChatMessage, ...]) -> Shown:
        """A prompt that `choose` made before, as far as its pictures still exist."""
        records: dict[str, PictureRecord] = {}
        for picture in {picture for message in messages for picture in message.pictures}:
            with suppress(NotFound):
                records[picture] = self._pictures.owned(session, user_id, picture)
        kept = (tuple(picture for picture in message.pictures if picture in records) for message in messages)
        return Shown(tuple(map(_showing, messages, kept)), records)

    def load(self, shown: Shown) -> tuple[ChatMessage, ...]:
        """The messages with the pictures themselves, as data URLs, each loaded once. Touches no database."""
        urls = {
            picture: data_url(*self._pictures.fitted(record, max_bytes=MAX_BYTES, max_side=MAX_SIDE))
            for picture, record in shown.records.items()
        }
        return tuple(
            replace(message, pictures=tuple(urls[picture] for picture in message.pictures))
            for message in shown.messages
        )


def _showing(message: ChatMessage, pictures: tuple[str, ...]) -> ChatMessage:
    return replace(message, pictures=pictures)
