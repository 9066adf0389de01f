"""`/textModel/chat` and `/textModel/stream`: an answer whole, or in Spark's frames."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import flask

from blueprints.answering import Answer, Piece, failure, has_failed
from blueprints.compat.backend import CompatBlueprint
from blueprints.compat.models import first_of
from blueprints.compat.spark_mobile_frames import Frames, cut, escaped
from blueprints.compat.spark_mobile_members import Members
from blueprints.compat.spark_mobile_wire import body, fails_as, ok, told
from blueprints.compat.streamed import whole
from blueprints.streaming import Streams
from services.assembly import Services
from services.clock import Clock
from services.errors import ChatError, InvalidRequest
from services.events import TextDelta, TurnEnded
from services.fields import Fields
from services.identity import Identity
from services.ids import new_id
from services.providers.base import ChatMessage
from services.quota.estimate import prompt_tokens
from services.turns.request import TextRequest

TEMPERATURE, MAX_TOKENS = 0.5, 4_096
MAX_MESSAGES, LONGEST_TEXT = 2_000, 1_000_000
SILENCE_S = 5.0
"""After it an empty frame keeps the connection alive."""


class Asking:
    """Starts the turns behind every route that talks to a text model."""

    def __init__(self, services: Services, streams: Streams) -> None:
        self._services = services
        self._streams = streams

    def ask(self, identity: Identity, dialog: Dialog, **limits: Any) -> Answer:
        """Start a turn; what is not said is as the old server had it.

        Raises:
            ChatError: Refused.
        """
        asked = TextRequest(
            client_id=new_id("r"),
            text=dialog.question,
            model=first_of(self._services.catalogue, "spark"),
            system=dialog.system,
            history=dialog.history,
            **{"temperature": TEMPERATURE, "max_tokens": MAX_TOKENS, **limits},
        )
        return Answer(self._services, self._streams, identity, self._services.text_turns.start(identity, asked))


class Dialog:
    """The `dialog` of a request: what the user asks now, what came before, and the system's word."""

    def __init__(self, given: Any) -> None:
        """Raises `InvalidRequest` when it is not one, or does not end with the user."""
        if not isinstance(given, list) or not 0 < len(given) <= MAX_MESSAGES:
            raise InvalidRequest(f"dialog must be a list of 1 to {MAX_MESSAGES}.", field="dialog")
        messages = [message for entry in given if (message := _message(entry)) is not None]
        # The desktop client begins every dialog with an empty system message; `_message` has dropped it.
        system = "\n\n".join(message.text for message in messages if message.role == "system")
        talk = [message for message in messages if message.role != "system"]
        if not talk or talk[-1].role != "user":
            raise InvalidRequest("dialog must end with the user's message.", field="dialog")
        self.system = system or None
        self.history = tuple(talk[:-1])
        self.question = talk[-1].text


def mount(blueprint: CompatBlueprint, services: Services, members: Members, asking: Asking) -> None:
    """Add the routes."""
    chat_streams = services.settings.spark_mobile.chat_mode == "stream"

    def begin() -> tuple[Answer, int]:
        fields = body()
        identity = members.known(fields.raw("uuid"), fields.raw("username"))
        dialog = Dialog(fields.raw("dialog"))
        return asking.ask(identity, dialog), prompt_tokens((ChatMessage("user", dialog.question),))

    @blueprint.post("/textModel/stream")
    @fails_as("MODEL_ERROR")
    def stream() -> flask.Response:
        return framed(*begin(), services.clock)

    @blueprint.post("/textModel/chat")
    @fails_as("MODEL_ERROR")
    def chat() -> flask.Response:
        answer, question_tokens = begin()
        return framed(answer, question_tokens, services.clock) if chat_streams else told_whole(answer)


def told_whole(answer: Answer) -> flask.Response:
    """The answer in one piece. Raises `ChatError` when the turn failed."""
    ended = whole(answer)
    return ok("成功", content=answer.log.answer(), consume_token=ended.usage.total_tokens)


def framed(answer: Answer, question_tokens: int, clock: Clock) -> flask.Response:
    """The answer in frames; the turn is stopped when its reader leaves.

    Raises:
        ChatError: The turn failed before its first piece; nothing has been sent.
    """
    try:
        pieces = answer.begun()
    except BaseException:
        answer.leave()
        raise
    frames = Frames(answer.log.turn_id)
    units = flask.stream_with_context(_units(answer, pieces, frames, question_tokens, clock))
    response = flask.Response(units, content_type="text/plain; charset=utf-8")
    response.headers["X-Accel-Buffering"] = "no"
    response.call_on_close(answer.leave)
    return response


def _units(
    answer: Answer, pieces: Iterator[Piece], frames: Frames, question_tokens: int, clock: Clock
) -> Iterator[bytes]:
    """One frame a write, so one a chunk: two in one lose the desktop client the whole answer.

    Reasoning is not told; while there is nothing else, a client that has left is noticed all the same.
    """
    told_at = clock.monotonic()
    try:
        for piece in pieces:
            if isinstance(piece, TextDelta):
                for part in cut(piece.text):
                    yield frames.piece(part).encode()
                told_at = clock.monotonic()
            elif isinstance(piece, TurnEnded):
                if has_failed(piece):
                    raise failure(piece)
                if not frames.begun:
                    yield frames.piece("").encode()  # of a body that is one JSON value the mobile client shows nothing
                yield frames.last(piece.usage, question_tokens).encode()
            elif answer.peer_left():
                return
            elif clock.monotonic() - told_at >= SILENCE_S:
                told_at = clock.monotonic()
                yield frames.piece("").encode()
    except ChatError as error:
        yield escaped(told(error)).encode()


def _message(value: Any) -> ChatMessage | None:
    """One entry; None when it says nothing."""
    fields = Fields(value, name="dialog")
    role, content = fields.raw("role"), fields.raw("content")
    if role not in ("system", "user", "assistant"):
        raise InvalidRequest("A role must be system, user or assistant.", field="dialog")
    if content is None or (isinstance(content, str) and not content.strip()):
        return None
    return ChatMessage(role, fields.text("content", longest=LONGEST_TEXT))
