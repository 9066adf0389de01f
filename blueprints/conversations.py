"""`/v1/conversations`: the list, its search, and what can be done with one conversation."""

from __future__ import annotations

import flask
from flask import request

from blueprints.identity import Callers
from blueprints.reading import body, query, query_integer
from blueprints.replies import attachment, reads_chinese, reply
from services.assembly import Services
from services.conversations.conversations import MAX_PAGE, MAX_TITLE
from services.conversations.export import Exports
from services.errors import InvalidRequest
from services.identity import Identity

LONGEST_QUERY = 256
LONGEST_CURSOR = 64


def build(services: Services, callers: Callers) -> flask.Blueprint:
    """The routes."""
    blueprint = flask.Blueprint("conversations", __name__, url_prefix="/v1/conversations")
    conversations, notes = services.conversations, services.notes
    exports = Exports(services.uow, conversations)

    @blueprint.get("")
    def listing() -> flask.Response:
        identity, fields = callers.caller(), query()
        wanted = request.args.get("q", "").strip()
        page = conversations.list(
            identity.user_id,
            limit=query_integer("limit", low=1, high=MAX_PAGE, default=50),
            before=_cursor("before"),
            query=fields.text("q", longest=LONGEST_QUERY) if wanted else "",
        )
        return reply({"conversations": [record.to_wire() for record in page.items], "next": page.next})

    @blueprint.post("")
    def create() -> flask.Response:
        identity = callers.caller()
        record = conversations.create(identity.user_id, body("title").optional_text("title", longest=MAX_TITLE) or "")
        notes.conversation_changed(identity.user_id, record.id, record.version, title=record.title)
        return reply(record.to_wire(), 201)

    @blueprint.get("/<conversation_id>")
    def read(conversation_id: str) -> flask.Response:
        return reply(conversations.get(callers.caller().user_id, conversation_id).to_wire())

    @blueprint.patch("/<conversation_id>")
    def rename(conversation_id: str) -> flask.Response:
        identity = callers.caller()
        title = body("title").text("title", longest=MAX_TITLE)
        record = conversations.rename(identity.user_id, conversation_id, title)
        notes.conversation_changed(identity.user_id, record.id, record.version, title=record.title)
        return reply(record.to_wire())

    @blueprint.delete("/<conversation_id>")
    def delete(conversation_id: str) -> flask.Response:
        _delete(callers.caller(), conversation_id)
        return reply({})

    def _delete(identity: Identity, conversation_id: str) -> None:
        record = conversations.get(identity.user_id, conversation_id)
        # First the turns, so that none goes on writing for nobody; it is also what makes their charge right.
        services.turns.stop_conversation(conversation_id)
        conversations.delete(identity.user_id, conversation_id)
        notes.conversation_changed(identity.user_id, conversation_id, record.version + 1, deleted=True)

    @blueprint.get("/<conversation_id>/messages")
    def messages(conversation_id: str) -> flask.Response:
        page = conversations.messages(
            callers.caller().user_id,
            conversation_id,
            limit=query_integer("limit", low=1, high=MAX_PAGE, default=200),
            after=_cursor("after"),
        )
        return reply({"messages": [record.to_wire() for record in page.items], "next": page.next})

    @blueprint.get("/<conversation_id>/export")
    def export(conversation_id: str) -> flask.Response:
        user_id = callers.caller().user_id
        title = conversations.get(user_id, conversation_id).title
        kind = request.args.get("format", "markdown")
        if kind == "json":
            return attachment(exports.json(user_id, conversation_id), title, "json", "application/json")
        if kind == "markdown":
            names = {"user": "用户", "assistant": "助手"} if reads_chinese() else {}
            return attachment(exports.markdown(user_id, conversation_id, **names), title, "md", "text/markdown")
        raise InvalidRequest("format must be markdown or json.", field="format")

    return blueprint


def _cursor(name: str) -> str | None:
    return query().text(name, longest=LONGEST_CURSOR) if request.args.get(name) else None
