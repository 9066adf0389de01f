"""Pictures that a fork of bailian-chatbot's widget sends along: themselves, or their addresses at hosts we know."""

from __future__ import annotations

import base64
import binascii
from typing import Any
from urllib.parse import urlsplit

from services.assembly import Services
from services.errors import ChatError, InvalidRequest
from services.identity import Identity
from services.providers.catalogue import Catalogue

MOST = 4
LONGEST_URL = 4_000_000
MOST_BYTES = 10_000_000
FETCH_S = 10.0


class WidgetPictures:
    """Takes them in for the visitor who shows them."""

    def __init__(self, services: Services, hosts: tuple[str, ...]) -> None:
        """`hosts`: where an address may lead; whoever can name any has this server ask whatever they like."""
        self._store = services.pictures.store
        self._fetcher = services.pictures.fetcher
        self._hosts = {host.lower() for host in hosts}

    def keep(self, identity: Identity, urls: tuple[str, ...]) -> tuple[str, ...]:
        """Their ids, once they are among the visitor's pictures.

        Raises:
            InvalidRequest: An address that is not asked, or a picture that could not be had.
            ChatError: A picture the store does not take.
        """
        return tuple(self._store.add(identity.user_id, self._bytes(url), field="image_urls").id for url in urls)

    def _bytes(self, url: str) -> bytes:
        if url.startswith("data:"):
            return _decoded(url)
        try:
            host = (urlsplit(url).hostname or "").lower()
        except ValueError:
            host = ""
        if host not in self._hosts:
            raise InvalidRequest(
                "Pictures are not fetched from this address; send the picture itself.", field="image_urls"
            )
        try:
            return self._fetcher.get(url, max_bytes=MOST_BYTES, limit_s=FETCH_S)
        except ChatError as error:
            raise InvalidRequest("A picture could not be fetched.", field="image_urls") from error


def urls_of(told: Any) -> tuple[str, ...]:
    """`image_urls` of a request. Raises `InvalidRequest`."""
    if told is None:
        return ()
    if not isinstance(told, list) or len(told) > MOST or not all(_is_address(url) for url in told):
        raise InvalidRequest(f"image_urls must be a list of at most {MOST} addresses.", field="image_urls")
    return tuple(told)


def model_that_sees(catalogue: Catalogue, chosen: str) -> str:
    """The chosen model if it sees; else one of its vendor's that does, else any.

    Raises:
        InvalidRequest: None does.
    """
    cards = [card for card in catalogue.cards() if card.available]
    provider = next((card.provider for card in cards if card.id == chosen), "")
    seeing = [card for card in cards if card.vision]
    seeing.sort(key=lambda card: (card.id != chosen, card.provider != provider))
    if not seeing:
        raise InvalidRequest("No model here sees pictures.", field="image_urls")
    return seeing[0].id


def _is_address(url: Any) -> bool:
    return isinstance(url, str) and 0 < len(url) <= LONGEST_URL


def _decoded(url: str) -> bytes:
    head, comma, data = url.partition(",")
    try:
        if not comma or not head.lower().endswith(";base64"):
            raise ValueError("no base64")
        return base64.b64decode(data, validate=True)
    except (binascii.Error, ValueError) as error:
        raise InvalidRequest("A picture must be base64 in a data: address.", field="image_urls") from error
