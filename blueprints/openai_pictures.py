"""Pictures in a call of OpenAI's shape: `image_url` parts become pictures of the caller's."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from dataclasses import replace

from blueprints.openai_shapes import Completion
from services.errors import InvalidRequest
from services.identity import Identity
from services.pictures.store import Pictures
from services.providers.base import ChatMessage, ModelCard

MOST = 8


def taken_in(asked: Completion, pictures: Pictures, identity: Identity, card: ModelCard) -> Completion:
    """The call with the ids of pictures in place of their addresses.

    Data URLs are checked, re-encoded and kept as every picture is; ids name pictures the caller has already.

    Raises:
        InvalidRequest: The model does not see, there are too many, or an address is not read here.
        ChatError: The store does not take a picture.
    """
    addresses = [address for message in asked.history for address in message.pictures] + list(asked.pictures)
    if not addresses:
        return asked
    if not card.vision:
        raise InvalidRequest("This model does not see pictures; choose one that does.", field="messages")
    if len(addresses) > MOST:
        raise InvalidRequest(f"A call shows at most {MOST} pictures.", field="messages")
    known = {address: _id(address, pictures, identity) for address in dict.fromkeys(addresses)}

    def ids(told: Sequence[str]) -> tuple[str, ...]:
        return tuple(known[address] for address in told)

    def shown(message: ChatMessage) -> ChatMessage:
        return replace(message, pictures=ids(message.pictures))

    return replace(asked, history=tuple(map(shown, asked.history)), pictures=ids(asked.pictures))


def _id(address: str, pictures: Pictures, identity: Identity) -> str:
    if not address.startswith("data:"):
        return pictures.get(identity.user_id, address, field="messages").id
    head, comma, data = address.partition(",")
    try:
        if not comma or not head.lower().endswith(";base64"):
            raise ValueError("no base64")
        return pictures.add(identity.user_id, base64.b64decode(data, validate=True), field="messages").id
    except (binascii.Error, ValueError) as error:
        raise InvalidRequest("A picture must be base64 in a data: address.", field="messages") from error
