"""doubao-web: pages with forms, stored conversations, a reply as plain text. Contract: docs/compat/doubao-web.md."""

from __future__ import annotations

from datetime import UTC, datetime
from urllib.parse import quote

import flask
from flask import request

from blueprints.answering import Answer
from blueprints.compat.backend import Backend, CompatBlueprint
from blueprints.compat.doubao_web_pages import Pages, visitor, with_notice
from blueprints.compat.doubao_web_stream import told
from blueprints.compat.models import first_of
from blueprints.compat.wire import answer
from blueprints.identity import Callers, clear_session, set_session
from blueprints.reading import json_object
from blueprints.replies import Refusal, reads_chinese
from blueprints.streaming import Streams
from services.accounts.names import MAX_STORED
from services.accounts.sessions import SESSION_COOKIE
from services.assembly import Services
from services.conversations.sheets import Sheets
from services.errors import ChatError, Conflict, InvalidRequest, RateLimited, Unauthenticated
from services.fields import Fields
from services.identity import Identity
from services.ids import new_id
from services.messages import in_chinese
from services.turns.request import TextRequest

SHORTEST_PASSWORD = 6
LONGEST_MESSAGE = 32_000
MAX_FORM_BYTES, MAX_BODY_BYTES = 64_000, 256_000
PREVIEW = 20
_NOTICE_OF = {"username": "name", "password": "password"}


def build(services: Services, callers: Callers, streams: Streams) -> CompatBlueprint:
    """The routes."""
    blueprint = CompatBlueprint("doubao_web", services, _refused)
    blueprint.before_request(callers.check_origin)
    pages = Pages(services.settings.doubao_web.templates)
    sheets = Sheets(services.uow, services.conversations)
    members = _Members(services, callers)

    @blueprint.get("/register")
    def register() -> flask.Response:
        return pages.page("register.html")

    @blueprint.post("/register")
    def make_account() -> flask.Response:
        username, password = _form()
        try:
            identity, _ = services.accounts.register(
                username,
                password,
                guest=members.guest(),
                address=request.remote_addr or "",
                longest_name=MAX_STORED,
                shortest_password=SHORTEST_PASSWORD,
            )
        except ChatError as error:
            return with_notice(_to(".register"), _notice(error))
        return members.signed_in(identity)

    @blueprint.get("/login")
    def login() -> flask.Response:
        return pages.page("login.html")

    @blueprint.post("/login")
    def sign_in() -> flask.Response:
        try:
            identity, _ = services.accounts.login(*_form(), address=request.remote_addr or "")
        except RateLimited:
            return pages.page("login.html", 429, notice="often")
        except (Unauthenticated, InvalidRequest):
            return pages.page("login.html", notice="wrong")
        return members.signed_in(identity)

    @blueprint.post("/logout")
    def logout() -> flask.Response:
        if (identity := members.known()) is not None and identity.credential == "session":
            services.sessions.end(identity)
        response = answer({"success": True})
        clear_session(response)
        return response

    @blueprint.get("/chat")
    def chat() -> flask.Response:
        identity = members.known()
        if identity is None:
            sent = flask.redirect(f"{flask.url_for('.login')}?next={quote(request.path, safe='')}")
            return with_notice(_plain(sent), "login")
        unused = "新对话" if reads_chinese() else "New conversation"
        listed = [
            {
                "id": sheet.id,
                "created_at": _minute(sheet.created_ms),
                "preview": f"{sheet.preview[:PREVIEW]}..." if sheet.preview else unused,
            }
            for sheet in sheets.newest(identity.user_id)
        ]
        return pages.page("chat.html", sessions=listed, current_user=visitor(identity.user_id, identity.name))

    @blueprint.post("/create-session")
    def create_session() -> flask.Response:
        conversation, is_new = sheets.unused(members.member().user_id)
        return answer(
            {
                "created_at": _minute(conversation.created_ms),
                "is_new": is_new,
                "session_id": conversation.id,
                "success": True,
            }
        )

    @blueprint.get("/get-messages")
    def get_messages() -> flask.Response:
        identity = members.member()
        asked = request.args.get("session_id", "")
        stored = sheets.branch(identity.user_id, asked) if asked else ()
        return answer(
            [
                {"content": message.text, "role": message.role, "time": _minute(message.created_ms)[-5:]}
                for message in stored
                if message.text
            ]
        )

    @blueprint.post("/chat-stream")
    def chat_stream() -> flask.Response:
        identity = members.member()
        fields = Fields(json_object(MAX_BODY_BYTES), name="body")
        asked = TextRequest(
            client_id=new_id("r"),
            text=fields.text("message", longest=LONGEST_MESSAGE),
            conversation=request.headers.get("X-Auth-Token", ""),
            model=first_of(services.catalogue, "ark"),
        )
        services.conversations.get(identity.user_id, asked.conversation or "")
        return told(Answer(services, streams, identity, services.text_turns.start(identity, asked)))

    return blueprint


class _Members:
    """Registered users by the page's own session cookie: who is signed in here is so on the other pages, too."""

    def __init__(self, services: Services, callers: Callers) -> None:
        self._services = services
        self._callers = callers

    def known(self) -> Identity | None:
        """Who is signed in; None for nobody and for a guest."""
        identity = self._anybody()
        return identity if identity is not None and not identity.guest else None

    def guest(self) -> Identity | None:
        """The guest this browser has been so far."""
        identity = self._anybody()
        return identity if identity is not None and identity.guest else None

    def member(self) -> Identity:
        """Raises `Unauthenticated`."""
        if (identity := self.known()) is None:
            raise Unauthenticated("Please log in first.")
        return identity

    def signed_in(self, identity: Identity) -> flask.Response:
        """On to the chat, with a new session."""
        self._services.tokens.end(identity)  # a browser has no use for the bearer token that came with it
        secret = self._services.sessions.start(identity.user_id, replaces=request.cookies.get(SESSION_COOKIE))
        response = _to(".chat")
        set_session(response, secret)
        return response

    def _anybody(self) -> Identity | None:
        if "Authorization" in request.headers:
            return self._callers.known()
        # Foreign pages were refused before any route; what says nothing of a page is an app with a jar of cookies.
        cookie = request.cookies.get(SESSION_COOKIE)
        identity = self._services.doorkeeper.by_session(cookie) if cookie else None
        if identity is not None:
            flask.g.user = identity.user_id
        return identity


def _refused(refusal: Refusal) -> flask.Response:
    """An array for `/get-messages`, an object for `/create-session`, else one plain sentence, never HTML."""
    error = refusal.error
    sentence = in_chinese(error) if reads_chinese() else error.message
    route = (request.endpoint or "").rpartition(".")[2]
    if route == "get_messages":
        return answer([], refusal.status)
    if route == "create_session":
        return answer({"error": sentence, "success": False}, refusal.status)
    return flask.Response(sentence, refusal.status, content_type="text/plain; charset=utf-8")


def _form() -> tuple[str, str]:
    """User name and password; a field that is missing is empty."""
    request.max_content_length = MAX_FORM_BYTES
    return request.form.get("username", ""), request.form.get("password", "")


def _notice(error: ChatError) -> str:
    if isinstance(error, Conflict):
        return "taken"
    if isinstance(error, RateLimited):
        return "often"
    if isinstance(error, InvalidRequest):
        return _NOTICE_OF.get(error.field or "", "name")
    return "busy"


def _to(endpoint: str) -> flask.Response:
    return _plain(flask.redirect(flask.url_for(endpoint)))


def _plain(response: object) -> flask.Response:
    assert isinstance(response, flask.Response)
    return response


def _minute(ms: int) -> str:
    """Local time, as the old server printed it."""
    return datetime.fromtimestamp(ms / 1000, UTC).astimezone().strftime("%Y-%m-%d %H:%M")


SPEC = Backend(name="doubao-web", build=build)
