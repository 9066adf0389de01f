"""bailian-chatbot: a site widget's configuration, streamed chat and whole chat."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, NamedTuple

import flask
from flask import request

from blueprints.answering import Answer
from blueprints.compat import models
from blueprints.compat.backend import Backend, CompatBlueprint
from blueprints.compat.bailian_chatbot_events import ChatbotEvents
from blueprints.compat.bailian_chatbot_history import talk_before
from blueprints.compat.bailian_chatbot_look import look_of
from blueprints.compat.bailian_chatbot_pictures import WidgetPictures, model_that_sees, urls_of
from blueprints.compat.cors import open_to_pages
from blueprints.compat.statuses import status_of
from blueprints.compat.streamed import streamed, whole
from blueprints.compat.visitors import Visitors
from blueprints.compat.wire import answer
from blueprints.identity import Callers
from blueprints.reading import json_object
from blueprints.replies import Refusal, reads_chinese
from blueprints.streaming import Streams
from services.assembly import Services
from services.errors import ChatError, InvalidRequest, ModelUnavailable, VendorError
from services.fields import Fields
from services.ids import new_id
from services.messages import in_chinese
from services.turns.request import TextRequest

MAX_BODY_BYTES = 5_000_000
LONGEST_PROMPT = 32_000
LONGEST_SESSION = 64
TEMPERATURE = 0.7
_CHAT = "/myapi/v1/chat-bot"
_STREAM_HEADERS = {"Cache-Control": "no-cache", "Connection": "keep-alive"}
_NO_DATA, _NO_PROMPT = "No data provided", "last_prompt is required"


class Asked(NamedTuple):
    """A question, and the name the client gave its conversation, which means nothing here."""

    request: TextRequest
    session_id: str | None
    image_urls: tuple[str, ...]


def build(services: Services, callers: Callers, streams: Streams) -> CompatBlueprint:
    """The routes."""
    blueprint = CompatBlueprint("bailian-chatbot", services, _refuse)
    open_to_pages(blueprint, callers)
    visitors = Visitors(services, callers, "bailian-chatbot")
    pictures = WidgetPictures(services, services.settings.chatbot.image_hosts)
    look = look_of(services.settings.chatbot)
    temperature = services.settings.turns.temperature

    def read() -> Asked:
        body = json_object(MAX_BODY_BYTES)
        if not body:
            raise InvalidRequest(_NO_DATA, field="body")
        asked = Fields(body, name="body")
        if asked.raw("last_prompt") in (None, ""):
            raise InvalidRequest(_NO_PROMPT, field="last_prompt")
        prompt = asked.text("last_prompt", longest=LONGEST_PROMPT)
        image_urls = urls_of(asked.raw("image_urls"))
        model = models.application(services.catalogue)
        turn = TextRequest(
            client_id=new_id("r"),
            text=prompt,
            model=model_that_sees(services.catalogue, model) if image_urls else model,
            temperature=TEMPERATURE if temperature is None else temperature,
            history=talk_before(prompt, asked.raw("conversation_history")),
        )
        return Asked(turn, asked.optional_text("session_id", longest=LONGEST_SESSION), image_urls)

    def begin(asked: Asked) -> Answer:
        visitors.admit()
        identity = visitors.of_address()
        shown = replace(asked.request, pictures=pictures.keep(identity, asked.image_urls))
        return Answer(services, streams, identity, services.text_turns.start(identity, shown))

    # An answer is never a redirect: a widget would send its question to the other address as a GET.
    @blueprint.get("/myapi/v1/chat-bot-config", strict_slashes=False)
    def configuration() -> flask.Response:
        return answer(look)

    @blueprint.post(f"{_CHAT}/stream", strict_slashes=False)
    def stream() -> flask.Response:
        asked = read()
        told = ChatbotEvents(asked.session_id, chinese=reads_chinese())
        response = streamed(begin(asked), told, services.clock, _STREAM_HEADERS)
        if not services.settings.server.allowed_origins:
            response.headers["Access-Control-Allow-Origin"] = "*"
            response.headers["Access-Control-Allow-Headers"] = "Content-Type"
        return response

    @blueprint.post(_CHAT, strict_slashes=False)
    def complete() -> flask.Response:
        asked = read()
        try:
            begun = begin(asked)
            whole(begun)
        except (VendorError, ModelUnavailable) as error:
            services.metrics.errors.labels(error.code).inc()
            return answer(_told(False, _sentence(error), "", asked.session_id))
        return answer(_told(True, "Response Generated", begun.log.answer(), asked.session_id))

    return blueprint


def _told(success: bool, message: str, text: str, session_id: str | None) -> Mapping[str, Any]:
    """`response` is what the full-page widget reads, `result` what the others do."""
    return {"success": success, "message": message, "result": text, "response": text, "session_id": session_id}


def _sentence(error: ChatError) -> str:
    return in_chinese(error) if reads_chinese() and error.message not in (_NO_DATA, _NO_PROMPT) else error.message


def _refuse(refused: Refusal) -> flask.Response:
    told: dict[str, Any] = {"message": _sentence(refused.error), "success": False}
    is_whole = request.path.rstrip("/").endswith(_CHAT)
    if is_whole and refused.error.message not in (_NO_DATA, _NO_PROMPT):
        told["result"] = ""
    return answer(told, status_of(refused.error, refused.status))


SPEC = Backend(
    name="bailian-chatbot",
    build=build,
    prefix="/wp-json",
    health={"service": "Bailian-chatbot-backend", "status": "healthy", "version": "1.0.0"},
    territory=("/myapi/",),
)
