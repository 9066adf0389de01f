"""OpenAI's shapes, in and out: pure. Source: docs/http.md names the fields that are read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

from services.errors import ChatError, InvalidRequest
from services.events import TurnEnded, Usage
from services.fields import Fields
from services.providers.base import ChatMessage, ModelCard

MAX_MESSAGES = 2_000
LONGEST_TEXT = 1_000_000
LONGEST_ID = 64

_ROLES = {"system": "system", "developer": "system", "user": "user", "assistant": "assistant"}
_NOT_SERVED = (
    "tools", "functions", "stop", "logit_bias", "audio", "web_search_options", "logprobs", "top_logprobs",
)  # fmt: skip
"""Fields that change what the answer is: ignoring them would be a wrong answer. Empty ones mean nothing."""
_FINISH = {"stop": "stop", "length": "length", "content_filter": "content_filter", "quota": "length", "user": "stop"}


@dataclass(frozen=True, slots=True)
class Completion:
    """A call of `/v1/chat/completions`, checked.

    Attributes:
        system: Every system and developer message, joined; None when there was none.
        history: What came before the question.
        pictures: Addresses of what the question shows, or ids; the history's are in its messages.
    """

    model: str | None
    system: str | None
    history: tuple[ChatMessage, ...]
    question: str
    temperature: float | None
    top_p: float | None
    max_tokens: int | None
    stream: bool
    include_usage: bool
    pictures: tuple[str, ...] = ()


class Head(NamedTuple):
    """What every chunk of one answer repeats."""

    id: str
    created: int
    model: str


def read_completion(fields: Fields) -> Completion:
    """Check a request.

    Raises:
        InvalidRequest: Names the field that is wrong, or that is not served here.
    """
    for name in _NOT_SERVED:
        if fields.raw(name) not in (None, False, 0, [], {}, ""):
            raise InvalidRequest(f"{name} is not served here.", field=name)
    if fields.integer("n", low=1, high=128, default=1) != 1:
        raise InvalidRequest("n must be 1: one answer a call.", field="n")
    if (form := _object(fields, "response_format")) and form.get("type") != "text":
        raise InvalidRequest("Only plain text is served here.", field="response_format")
    if fields.raw("modalities") not in (None, [], ["text"]):
        raise InvalidRequest("Only text is served here.", field="modalities")
    system, talk = read_messages(fields, sees=True)
    if not talk or talk[-1].role != "user":
        raise InvalidRequest("The last message must be the user's.", field="messages")
    tokens = "max_completion_tokens" if fields.has("max_completion_tokens") else "max_tokens"
    return Completion(
        model=fields.optional_text("model", longest=128),
        system=system,
        history=tuple(talk[:-1]),
        question=talk[-1].text,
        pictures=talk[-1].pictures,
        temperature=fields.optional_number("temperature", low=0, high=2),
        top_p=fields.optional_number("top_p", low=0, high=1),
        max_tokens=fields.optional_integer(tokens, low=1, high=1_000_000),
        stream=fields.flag("stream"),
        include_usage=bool(_object(fields, "stream_options").get("include_usage")),
    )


def _object(fields: Fields, name: str) -> dict[str, Any]:
    value = fields.raw(name)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise InvalidRequest(f"{name} must be an object.", field=name)
    return value


def read_messages(fields: Fields, *, sees: bool = False) -> tuple[str | None, list[ChatMessage]]:
    """Every system message, joined, and the talk.

    Args:
        sees: Take pictures along in the user's messages.

    Raises:
        InvalidRequest: Names what is wrong with `messages`.
    """
    given = fields.raw("messages")
    if not isinstance(given, list) or not 0 < len(given) <= MAX_MESSAGES:
        raise InvalidRequest(f"messages must be a list of 1 to {MAX_MESSAGES}.", field="messages")
    messages = [_message(message, f"messages[{number}]", sees) for number, message in enumerate(given)]
    system = "\n\n".join(message.text for message in messages if message.role == "system" and message.text)
    return system or None, [message for message in messages if message.role != "system"]


def _message(value: Any, name: str, sees: bool) -> ChatMessage:
    fields = Fields(value, name=name)
    role = fields.raw("role")
    if not isinstance(role, str) or role not in _ROLES:
        raise InvalidRequest(f"{name}.role must be one of {', '.join(_ROLES)}.", field=f"{name}.role")
    if fields.raw("tool_calls"):
        raise InvalidRequest("tool_calls are not served here.", field=f"{name}.tool_calls")
    pictures: list[str] | None = [] if sees and role == "user" else None
    text = _text_of(fields.raw("content"), f"{name}.content", pictures, empty_is_fine=role != "user")
    return ChatMessage(_ROLES[role], text, tuple(pictures or ()))  # type: ignore[arg-type]  # the table holds only its three roles


def _text_of(content: Any, name: str, pictures: list[str] | None, *, empty_is_fine: bool) -> str:
    """Text, or a list of parts of it, which are joined by a line end; pictures among them are put aside."""
    if isinstance(content, list):
        parts = [_part(part, f"{name}[{number}]", pictures) for number, part in enumerate(content)]
        content = "\n".join(part for part in parts if part is not None)
    if empty_is_fine and content in (None, ""):
        return ""
    return Fields({name: content}).text(name, longest=LONGEST_TEXT)


def _part(value: Any, name: str, pictures: list[str] | None) -> str | None:
    part = Fields(value, name=name)
    if part.raw("type") == "image_url" and pictures is not None:
        pictures.append(_address(part, f"{name}.image_url"))
        return None
    if part.raw("type") != "text":
        raise InvalidRequest("Only parts of type text are served here.", field=f"{name}.type")
    text = part.raw("text")
    if not isinstance(text, str):
        raise InvalidRequest(f"{name}.text must be text.", field=f"{name}.text")
    return text


def _address(part: Fields, name: str) -> str:
    """Where a picture is: in the address itself, or among the caller's own."""
    told = part.raw("image_url")
    url = told.get("url") if isinstance(told, dict) else told
    if not isinstance(url, str) or not url:
        raise InvalidRequest(f"{name}.url is missing.", field=f"{name}.url")
    if not url.startswith("data:") and (":" in url or "/" in url or len(url) > LONGEST_ID):
        raise InvalidRequest(
            "Pictures are not fetched from addresses: send a data: address, or the id of a picture of yours.",
            field=f"{name}.url",
        )
    return url


def model_entry(card: ModelCard) -> dict[str, Any]:
    """A model of the list: OpenAI's four fields, and ours besides."""
    return {**card.to_wire(), "object": "model", "created": 0, "owned_by": card.provider}


def whole(head: Head, text: str, reasoning: str, ended: TurnEnded) -> dict[str, Any]:
    """The answer in one piece."""
    message: dict[str, Any] = {"role": "assistant", "content": text, "refusal": None}
    if reasoning:
        message["reasoning_content"] = reasoning
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": finish_reason(ended)}
    return {**_head(head, "chat.completion"), "choices": [choice], "usage": usage(ended.usage)}


def chunk(head: Head, delta: dict[str, Any], *, finish: str | None = None) -> dict[str, Any]:
    """One piece of a streamed answer."""
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
    return {**_head(head, "chat.completion.chunk"), "choices": [choice]}


def usage_chunk(head: Head, ended: TurnEnded) -> dict[str, Any]:
    """The last piece, for those who asked for it: no choice, only the count."""
    return {**_head(head, "chat.completion.chunk"), "choices": [], "usage": usage(ended.usage)}


def finish_reason(ended: TurnEnded) -> str:
    """Why the answer ends, in OpenAI's words. A turn that failed has none: it is told as an error."""
    return _FINISH[ended.reason]


def usage(spent: Usage) -> dict[str, Any]:
    return {
        "prompt_tokens": spent.prompt_tokens,
        "completion_tokens": spent.completion_tokens,
        "total_tokens": spent.total_tokens,
    }


def error_envelope(wire: dict[str, Any], error: ChatError) -> dict[str, Any]:
    """Our `error` object in OpenAI's: `code` stays ours, `type` is theirs, `param` is our `field`."""
    return {"error": {**wire, "type": _type_of(error.http_status), "param": error.field}}


def _type_of(status: int) -> str:
    named = {401: "authentication_error", 402: "insufficient_quota", 403: "permission_error", 429: "rate_limit_error"}
    return named.get(status, "server_error" if status >= 500 else "invalid_request_error")


def _head(head: Head, kind: str) -> dict[str, Any]:
    return {"id": head.id, "object": kind, "created": head.created, "model": head.model, "system_fingerprint": None}
