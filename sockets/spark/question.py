"""A Spark request as a question of ours. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import orjson

from services.cleaning import clean
from services.errors import InvalidRequest
from services.fields import Fields
from services.ids import new_id
from services.providers.base import ChatMessage, ModelCard
from services.providers.catalogue import Catalogue
from services.providers.spark_versions import VERSIONS, Version
from services.turns.request import TextRequest
from sockets.spark.codes import MESSAGE, NOT_AUTHORISED, SCHEMA, VALUE, SparkRefusal

MOST_MESSAGES, LONGEST_DOMAIN = 2_000, 128
TEMPERATURE, MAX_TOKENS = 0.5, 4_096
"""What the vendor takes where a request says nothing."""
_MOST_TOKENS, _MOST_TOP_K, _LONGEST_UID = 131_072, 6, 32
_ROLES: dict[str, Literal["system", "user", "assistant"]] = {
    "system": "system",
    "user": "user",
    "assistant": "assistant",
}
PATHS: dict[str, Version] = {version.path: version for version in VERSIONS.values()}
"""Where the vendor serves its versions; this server does so under a prefix."""


@dataclass(frozen=True, slots=True)
class Question:
    """A request that can be asked. `last`: what the user said last, which the vendor counts apart."""

    request: TextRequest
    last: ChatMessage


def read(message: str | bytes, *, path: str, app_id: str, catalogue: Catalogue) -> Question:
    """The question in a client's one frame.

    Args:
        path: The vendor's path it came by.
        app_id: Of the key that signed the address; the frame must say the same.

    Raises:
        SparkRefusal: With the vendor's number for what is wrong.
        ModelUnavailable: No model at all is available.
    """
    try:
        body = orjson.loads(message)
    except orjson.JSONDecodeError:
        raise SparkRefusal(MESSAGE, "ClientMsgError", "the message is not JSON") from None
    try:
        header = Fields(_at(body, "header"), name="header")
        chat = Fields(_at(body, "parameter", "chat"), name="parameter.chat")
        texts = _at(body, "payload", "message", "text")
        domain = chat.text("domain", longest=LONGEST_DOMAIN)
    except InvalidRequest as error:
        raise SparkRefusal(SCHEMA, "ClientMsgError", f"schema: {error.message}") from None
    if header.raw("app_id") != app_id:
        raise SparkRefusal(NOT_AUTHORISED, "AppIdNoAuthError", "app_id is not the one of this APIKey")
    if _at(body, "payload").get("functions"):
        raise SparkRefusal(MESSAGE, "ClientMsgError", "functions are not served here")
    model = model_of(catalogue, PATHS[path], domain)
    temperature, max_tokens = _values(header, chat)
    system, talk = _messages(texts)
    request = TextRequest(
        client_id=new_id("r"),
        text=talk[-1].text,
        model=model,
        system=system,
        temperature=temperature,
        max_tokens=max_tokens,
        history=tuple(talk[:-1]),
    )
    return Question(request, talk[-1])


def model_of(catalogue: Catalogue, version: Version, domain: str) -> str:
    """The model that is meant: one of ours by its id, else Spark's of that path, else whatever stands in for it.

    Raises:
        SparkRefusal: The domain is another version's, or nobody's.
        ModelUnavailable: No model at all is available.
    """
    cards = {card.id: card for card in catalogue.cards() if card.available}
    if domain in cards:
        return domain
    if domain.lower() not in {name.lower() for name in (version.domain, version.key, version.model_id, *version.also)}:
        raise SparkRefusal(MESSAGE, "ClientMsgError", "invalid model domain")
    if version.model_id in cards:
        return version.model_id
    return next((card.id for card in cards.values() if _is_spark(card)), None) or catalogue.default().id


def _is_spark(card: ModelCard) -> bool:
    return card.provider == "spark"


def _values(header: Fields, chat: Fields) -> tuple[float, int]:
    try:
        header.optional_text("uid", longest=_LONGEST_UID)
        chat.optional_integer("top_k", low=1, high=_MOST_TOP_K)
        temperature = chat.optional_number("temperature", low=0, high=1)
        if temperature == 0:
            raise InvalidRequest("temperature must be above 0.", field="temperature")
        max_tokens = chat.integer("max_tokens", low=1, high=_MOST_TOKENS, default=MAX_TOKENS)
    except InvalidRequest as error:
        raise SparkRefusal(VALUE, "ClientMsgError", error.message) from None
    return TEMPERATURE if temperature is None else temperature, max_tokens


def _messages(texts: Any) -> tuple[str | None, list[ChatMessage]]:
    """The system's word, and the talk, which ends with the user."""
    if not isinstance(texts, list) or not 0 < len(texts) <= MOST_MESSAGES:
        raise SparkRefusal(MESSAGE, "ClientMsgError", f"text must be a list of 1 to {MOST_MESSAGES}")
    messages = [_message(text) for text in texts]
    system = "\n\n".join(message.text for message in messages if message.role == "system" and message.text)
    talk = [message for message in messages if message.role != "system" and message.text.strip()]
    if not talk or talk[-1] is not messages[-1] or talk[-1].role != "user":
        raise SparkRefusal(MESSAGE, "ClientMsgError", "text must end with what the user asks")
    return system or None, talk


def _message(text: Any) -> ChatMessage:
    role, content = (text.get("role"), text.get("content")) if isinstance(text, dict) else (None, None)
    if not isinstance(role, str) or role not in _ROLES or not isinstance(content, str):
        raise SparkRefusal(
            MESSAGE, "ClientMsgError", "text holds role and content: system, user or assistant, and text"
        )
    if text.get("content_type", "text") != "text":
        raise SparkRefusal(MESSAGE, "ClientMsgError", "pictures are not served here")
    return ChatMessage(_ROLES[role], clean(content))


def _at(body: Any, *names: str) -> Any:
    """What stands at a path of names. Raises `InvalidRequest` when it is missing."""
    for number, name in enumerate(names):
        if not isinstance(body, dict) or body.get(name) is None:
            raise InvalidRequest(f"{'.'.join(names[: number + 1])} is missing.", field=name)
        body = body[name]
    return body
