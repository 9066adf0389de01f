"""bailian-proxy: a relay with models, whole answers and server-sent events."""

from __future__ import annotations

import math
from typing import Any

import flask

from blueprints.answering import Answer
from blueprints.compat import bailian_proxy_accounts, models
from blueprints.compat.backend import Backend, CompatBlueprint
from blueprints.compat.bailian_proxy_events import ProxyEvents
from blueprints.compat.cors import open_to_pages
from blueprints.compat.statuses import status_of
from blueprints.compat.streamed import streamed, whole
from blueprints.compat.visitors import Visitors
from blueprints.compat.wire import answer
from blueprints.identity import Callers
from blueprints.openai_shapes import read_messages
from blueprints.reading import json_object
from blueprints.replies import Refusal, reads_chinese
from blueprints.streaming import Streams
from services.assembly import Services
from services.errors import InvalidRequest
from services.events import Usage
from services.fields import Fields
from services.ids import new_id
from services.messages import in_chinese
from services.turns.request import TextRequest

MAX_BODY_BYTES = 1_000_000
DEFAULT_MODEL = "qwen-turbo"
TEMPERATURE, MAX_TOKENS = 0.7, 2_000
ALIASES = {"qwen-max-longcontext": "qwen-max"}
"""Ids of the list below that the vendor serves under another name today."""

_LISTED = (
    ("qwen-turbo", "通义千问-Turbo", "响应快、成本低，适合简单任务", 6_000),
    ("qwen-plus", "通义千问-Plus", "效果与速度均衡，适合大多数任务", 30_000),
    ("qwen-max", "通义千问-Max", "能力最强，适合复杂任务", 30_000),
    ("qwen-max-longcontext", "通义千问-Max 长文本", "能力最强，支持超长上下文", 100_000),
)
_NAMED = {404: "Not Found", 405: "Method Not Allowed", 500: "Internal Server Error"}
_MISSING = "Missing required parameter: messages"
_STREAM_HEADERS = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}


def build(services: Services, callers: Callers, streams: Streams) -> CompatBlueprint:
    """The routes."""
    blueprint = CompatBlueprint("bailian-proxy", services, _refuse)
    open_to_pages(blueprint, callers)
    visitors = Visitors(services, callers, "bailian-proxy")

    def ask() -> tuple[Answer, str]:
        """Begin an answer; with it the model's name as the client knows it."""
        asked = Fields(json_object(MAX_BODY_BYTES), name="body")
        if asked.raw("messages") is None:
            raise InvalidRequest(_MISSING, field="messages")
        system, talk = read_messages(asked)
        if not talk or talk[-1].role != "user":
            raise InvalidRequest("The last message must be the user's.", field="messages")
        named = asked.optional_text("model", longest=128) or DEFAULT_MODEL
        request = TextRequest(
            client_id=new_id("r"),
            text=talk[-1].text,
            model=served(ALIASES.get(named, named)),
            system=system,
            temperature=_clamped(asked, "temperature", 0.0, 2.0, TEMPERATURE),
            max_tokens=int(_clamped(asked, "max_tokens", 1, 1_000_000, MAX_TOKENS)),
            history=tuple(talk[:-1]),
        )
        visitors.admit()
        identity = visitors.of_address()
        return Answer(services, streams, identity, services.text_turns.start(identity, request)), named

    def served(name: str) -> str:
        """A model that can be asked: clients name other vendors' models and mean any."""
        return name if models.has(services.catalogue, name) else models.first_of(services.catalogue, "dashscope")

    @blueprint.get("/api/models")
    def list_models() -> flask.Response:
        listed = [
            {"id": model, "name": name, "description": description, "provider": "Alibaba", "maxTokens": most}
            for model, name, description, most in _LISTED
        ]
        return answer({"models": listed})

    @blueprint.post("/api/chat/completions")
    def complete() -> flask.Response:
        begun, named = ask()
        ended = whole(begun)
        told = {"content": begun.log.answer(), "id": begun.log.turn_id, "model": named, "usage": _usage(ended.usage)}
        return answer(told)

    @blueprint.post("/api/chat/stream")
    def stream() -> flask.Response:
        begun, _ = ask()
        return streamed(begun, ProxyEvents(chinese=reads_chinese()), services.clock, _STREAM_HEADERS)

    bailian_proxy_accounts.mount(blueprint, services, callers)
    return blueprint


def _refuse(refused: Refusal) -> flask.Response:
    status = status_of(refused.error, refused.status)
    sentence = in_chinese(refused.error) if reads_chinese() else refused.error.message
    code = _MISSING if refused.error.message == _MISSING else _NAMED.get(status, refused.error.code)
    return answer({"error": code, "message": sentence}, status)


def _usage(usage: Usage) -> dict[str, Any]:
    """The vendor's names beside those of the documentation."""
    return {
        "input_tokens": usage.prompt_tokens,
        "output_tokens": usage.completion_tokens,
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        "total_tokens": usage.total_tokens,
    }


def _clamped(fields: Fields, name: str, low: float, high: float, default: float) -> float:
    value = fields.raw(name)
    if value is None:
        return default
    if not isinstance(value, int | float) or isinstance(value, bool) or not math.isfinite(value):
        raise InvalidRequest(f"{name} must be a number.", field=name)
    return min(max(value, low), high)


SPEC = Backend(
    name="bailian-proxy",
    build=build,
    health={"message": "Backend service is running", "status": "ok"},
    territory=("/api/chat", "/api/models", "/api/auth"),
)
