"""cloud-chat: a cookie session with history, one-shot chat, pictures from words."""

from __future__ import annotations

import uuid

import flask
from flask import request

from blueprints.answering import Answer
from blueprints.compat import models
from blueprints.compat.backend import Backend, CompatBlueprint
from blueprints.compat.cloud_chat_accounts import CloudAccounts, refused
from blueprints.compat.cloud_chat_lines import ChatLines
from blueprints.compat.cloud_chat_pictures import CloudPictures
from blueprints.compat.cloud_chat_session import CloudSessions
from blueprints.compat.statuses import status_of
from blueprints.compat.streamed import streamed
from blueprints.compat.visitors import Visitors
from blueprints.compat.waiting import start_in_turn
from blueprints.compat.wire import answer
from blueprints.identity import Callers
from blueprints.reading import MAX_BODY_BYTES, json_object
from blueprints.replies import Refusal
from blueprints.streaming import Streams
from services.assembly import Services
from services.errors import InvalidRequest, TooLarge
from services.fields import Fields
from services.identity import Identity
from services.ids import new_id
from services.turns.picture_request import MAX_PROMPT
from services.turns.request import TextRequest

LONGEST_MESSAGE = 32_000
TOP_P = 0.8
TEMPERATURE, MAX_TOKENS = 0.7, 2_000


def build(services: Services, callers: Callers, streams: Streams) -> CompatBlueprint:
    """The routes."""
    blueprint = CompatBlueprint("cloud-chat", services, _refuse)
    settings = services.settings.cloud_chat
    visitors = Visitors(services, callers, "cloud-chat")
    sessions = CloudSessions(services, visitors, settings)
    accounts = CloudAccounts(services, sessions)
    accounts.add_to(blueprint)
    pictures = CloudPictures(services, streams, settings)

    def known() -> Identity | None:
        return visitors.known() or accounts.known()

    def stream(identity: Identity, asked: TextRequest) -> tuple[flask.Response, str]:
        """The answer as it comes, and the conversation it is part of."""
        following = start_in_turn(services, identity, asked)
        response = streamed(Answer(services, streams, identity, following), ChatLines(), services.clock, {})
        return response, following.conversation

    @blueprint.post("/chat")
    def one_shot() -> flask.Response:
        message = _text("message", "Message is required")
        visitors.admit()
        model = models.first_of(services.catalogue, "dashscope")
        asked = TextRequest(new_id("r"), message, model=model, top_p=TOP_P, history=())
        response, _ = stream(known() or visitors.of_address(), asked)
        return response

    @blueprint.post("/deepseek_chat")
    def chat() -> flask.Response:
        message = _text("message", "Message is required")
        visitors.admit()
        session = sessions.current(known())
        asked = TextRequest(
            new_id("r"),
            message,
            conversation=session.conversation,
            model=models.first_of(services.catalogue, "deepseek"),
            temperature=TEMPERATURE,
            max_tokens=MAX_TOKENS,
            rounds=settings.rounds,
        )
        response, conversation = stream(session.identity, asked)
        sessions.keep(response, session._replace(conversation=conversation))
        return response

    @blueprint.post("/reset_chat")
    def reset() -> flask.Response:
        response = answer({"status": "Reset chat history successfully"})
        session = sessions.present(known())
        if session is not None:
            sessions.keep(response, sessions.restart(session))
        return response

    @blueprint.post("/generate_image")
    def generate_image() -> flask.Response:
        prompt = _text("prompt", "Prompt is required", longest=MAX_PROMPT)
        visitors.admit()
        present = sessions.present(known())
        return pictures.draw(present.identity if present else known() or visitors.of_address(), prompt)

    @blueprint.get("/test")
    def test() -> flask.Response:
        response = answer({"request_id": str(uuid.uuid4()), "timestamp": services.clock.now_ms() / 1000})
        response.headers["Cache-Control"] = "public"  # the proxy in front may keep this one, and no other
        return response

    return blueprint


def _text(name: str, missing: str, *, longest: int = LONGEST_MESSAGE) -> str:
    """The one field a request has; others are ignored.

    Raises:
        InvalidRequest: It is missing, empty or no text.
        TooLarge: It is longer than is read here.
    """
    asked = Fields(json_object(MAX_BODY_BYTES), name="body")
    value = asked.raw(name)
    if not isinstance(value, str) or not value.strip():
        raise InvalidRequest(missing, field=name)
    if len(value) > longest:
        raise TooLarge(f"{name} must have at most {longest} characters.", field=name)
    return asked.text(name, longest=longest)


def _refuse(refusal: Refusal) -> flask.Response:
    status = status_of(refusal.error, refusal.status)
    if "/auth/" in request.path:
        return refused(refusal.error.message, status)
    return answer({"error": refusal.error.message}, status)


SPEC = Backend(name="cloud-chat", build=build, prefix="/cloudchat", gives_way={"spark-mobile": "/auth/"})
