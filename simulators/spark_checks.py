"""What Spark checks before it answers: the signature and its date, the request's shape, values and length."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import parse_qs

import orjson

from simulators.loopback import Call, Request
from simulators.openai_answer import TOKEN

APP_ID = "a1b2c3d4"
KEY = "sk-simulated"
SECRET = "secret-simulated"

MAX_SKEW_S = 300
_PAIR = re.compile(r'([\w-]+)="([^"]*)"')


@dataclass(frozen=True, slots=True)
class Served:
    """What is served at one path."""

    domains: tuple[str, ...]
    tokens: int
    answer_tokens: int = 8_192
    has_system: bool = True
    reasons: bool = False


PATHS = {
    "/v1.1/chat": Served(("lite", "general"), 8_192, 4_096, has_system=False),
    "/v2.1/chat": Served(("generalv2",), 8_192, has_system=False),
    "/v3.1/chat": Served(("generalv3",), 8_192, has_system=False),
    "/chat/pro-128k": Served(("pro-128k",), 131_072, 4_096, has_system=False),
    "/v3.5/chat": Served(("generalv3.5",), 8_192),
    "/chat/max-32k": Served(("max-32k",), 32_768),
    "/v4.0/chat": Served(("4.0Ultra",), 8_192),
    "/v1/x1": Served(("spark-x", "x1"), 32_768, reasons=True),
    "/x2": Served(("spark-x",), 32_768, reasons=True),
}
HTTP_PATHS = {
    "/v1/chat/completions": ("lite", "generalv3", "pro-128k", "generalv3.5", "max-32k", "4.0Ultra"),
    "/v2/chat/completions": ("spark-x",),
    "/x2/chat/completions": ("spark-x",),
}


class HandshakeRefusal(Exception):
    """An answer in place of 101."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status, self.message = status, message


class FrameRefusal(Exception):
    """A frame with a number other than 0."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        name, _, detail = message.partition(":")
        self.code, self.message = code, f"{name}:(12:17:04.432) {detail}"


def check_handshake(request: Request, *, key: str, now: float) -> Served:
    """Everything that is looked at before 101."""
    served = PATHS.get(request.path.partition("?")[0])
    if served is None:
        raise HandshakeRefusal(401, "Unauthorized")
    check_signature(request, key=key, now=now)
    return served


def check_signature(request: Request, *, key: str, now: float) -> None:
    """iFlytek's signed address and the upgrade, whichever service it is of."""
    path, _, query = request.path.partition("?")
    given = {name: values[0] for name, values in parse_qs(query).items()}
    if "authorization" not in given:
        raise HandshakeRefusal(401, "Unauthorized")
    pairs = dict(_PAIR.findall(_decoded(given["authorization"])))
    if pairs.get("algorithm") != "hmac-sha256" or pairs.get("headers") != "host date request-line":
        raise HandshakeRefusal(401, "HMAC signature cannot be verified")
    if pairs.get("api_key") != key:
        raise HandshakeRefusal(401, "HMAC signature cannot be verified: apikey not found")
    host, date = given.get("host", ""), given.get("date", "")
    if not _is_near(date, now):
        raise HandshakeRefusal(
            403, "HMAC signature cannot be verified, a valid date or x-date header is required for HMAC Authentication"
        )
    text = f"host: {host}\ndate: {date}\nGET {path} HTTP/1.1"
    signature = base64.b64encode(hmac.digest(SECRET.encode(), text.encode(), hashlib.sha256)).decode()
    own = request.headers.get("host", "")
    if pairs.get("signature") != signature or host not in (own, own.partition(":")[0]):
        raise HandshakeRefusal(401, "HMAC signature does not match")
    if (
        request.headers.get("upgrade", "").lower() != "websocket"
        or request.headers.get("sec-websocket-version") != "13"
    ):
        raise HandshakeRefusal(400, "not a WebSocket")


def _is_near(date: str, now: float) -> bool:
    try:
        return date.endswith(" GMT") and abs(parsedate_to_datetime(date).timestamp() - now) <= MAX_SKEW_S
    except ValueError:
        return False


def read_request(call: Call, message: bytes, served: Served) -> None:
    """Decode and check a request as the vendor does."""
    try:
        call.json = orjson.loads(message)
        header, chat = call.json["header"], call.json["parameter"]["chat"]
        texts = call.json["payload"]["message"]["text"]
        app_id, domain = header["app_id"], chat["domain"]
    except (orjson.JSONDecodeError, KeyError, TypeError):
        call.json = {}
        raise FrameRefusal(10004, "ClientMsgError:schema") from None
    if app_id != APP_ID:
        raise FrameRefusal(11200, "AppIdNoAuthError:app_id")
    if domain not in served.domains:
        raise FrameRefusal(10003, "ClientMsgError:invalid model domain")
    if len(header.get("uid", "")) > 32:
        raise FrameRefusal(10005, "ClientMsgError:uid")
    check_chat(chat, served)
    check_texts(texts, served)
    call.prompt_tokens = count_tokens(texts, served)


def check_chat(chat: dict[str, Any], served: Served) -> None:
    ranges = (("temperature", 0, 1), ("top_k", 1, 6), ("max_tokens", 1, served.answer_tokens))
    for name, low, high in ranges:
        value = chat.get(name, high)
        if not isinstance(value, (int, float)) or not low <= value <= high or value == 0:
            raise FrameRefusal(10005, f"ClientMsgError:{name}")


def check_texts(texts: Any, served: Served) -> None:
    """A system message first if at all, then user and assistant in turns, a user's last."""
    if not isinstance(texts, list) or not all(map(_has_content, texts)):
        raise FrameRefusal(10003, "ClientMsgError:content")
    roles = [text.get("role") for text in texts]
    if roles[:1] == ["system"] and served.has_system:
        roles = roles[1:]
    expected = [("user", "assistant")[number % 2] for number in range(len(roles))]
    if roles != expected or roles[-1:] != ["user"]:
        raise FrameRefusal(10003, "ClientMsgError:roles")


def _has_content(text: Any) -> bool:
    return isinstance(text, dict) and isinstance(text.get("content"), str) and text["content"] != ""


def count_tokens(texts: list[dict[str, Any]], served: Served) -> int:
    tokens = sum(len(TOKEN.findall(text["content"])) for text in texts)
    if tokens > served.tokens:
        raise FrameRefusal(10907, f"TokenOverFlow:{tokens}")
    return tokens


def _decoded(authorization: str) -> str:
    try:
        return base64.b64decode(authorization, validate=True).decode()
    except ValueError:
        raise HandshakeRefusal(401, "HMAC signature cannot be verified") from None
