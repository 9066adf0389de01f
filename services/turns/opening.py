"""The one transaction that opens a turn: idempotency, place in the tree, reservation, rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from config import TurnSettings
from db.models import Conversation, Message, Turn
from services.clock import Clock
from services.conversations.conversations import Conversations
from services.errors import Conflict, InvalidRequest, NotFound
from services.identity import Identity
from services.ids import new_id
from services.providers.base import ChatMessage, ModelCard
from services.quota.estimate import prompt_tokens
from services.quota.ledger import Ledger, Quota
from services.turns.history import Stored, ids_of, last_rounds, prompt
from services.turns.request import AgainRequest, TextRequest
from services.turns.showing import Showing, Shown

DAY_MS = 24 * 60 * 60 * 1000
MAX_CALLS_VERSION = 400
"""Two changes a call: after 200 calls a new conversation begins, so that each can be opened in one go."""

PROMPT_MARGIN = 32
"""Tokens set aside beyond our count of the prompt: some vendors add a system message of their own (Qwen, some 20)."""


@dataclass(frozen=True, slots=True)
class Opened:
    """A turn that now has its rows and its reservation.

    Attributes:
        shown: What the model is given to read, and to see.
        prompt_estimate: Our count of it in tokens.
        granted: Tokens of answer that the reservation covers; the vendor is told it as `max_tokens`.
        short: True when the account covers less than was asked for: an answer cut there ends with `quota`.
        version: The conversation's, for the note to the user's devices; `title` is set when it is new.
    """

    turn_id: str
    conversation: str
    message: str
    shown: Shown
    prompt_estimate: int
    granted: int
    short: bool
    version: int
    title: str | None
    quota: Quota


class Opening:
    """Opens turns. Every method works inside the caller's transaction."""

    def __init__(
        self,
        *,
        ledger: Ledger,
        conversations: Conversations,
        clock: Clock,
        settings: TurnSettings,
        showing: Showing,
        owner: str,
    ) -> None:
        self._ledger = ledger
        self._showing = showing
        self._conversations = conversations
        self._clock = clock
        self._settings = settings
        self._owner = owner

    def ask(self, session: Session, identity: Identity, request: TextRequest, card: ModelCard) -> Opened:
        """A new question and an empty answer to it."""
        user_id = identity.user_id
        self._showing.check(session, user_id, request.pictures, card)
        if request.history is not None:
            return self._ask_apart(session, identity, request, card, request.history)
        if request.conversation is not None:
            with _naming("conversation"):
                # Of two questions at once, at two workers perhaps, the second must see the first one's answer running.
                conversation = self._conversations.owned(session, user_id, request.conversation, hold=True)
        elif request.parent is not None:
            raise InvalidRequest("parent needs the conversation it is in.", field="conversation")
        else:
            conversation = self._conversations.add(session, user_id=user_id)
        parent = self._parent(session, conversation, request)
        path = self._conversations.path_to(session, user_id, parent) if parent else []
        question = self._conversations.add_message(
            session,
            user_id=user_id,
            conversation_id=conversation.id,
            parent_id=parent,
            role="user",
            text=request.text,
            pictures=request.pictures,
        )
        title = conversation.title if request.conversation is None else None
        return self._open(session, identity, request, card, question, path, title)

    def again(self, session: Session, identity: Identity, again: AgainRequest, card: ModelCard) -> Opened:
        """Another empty answer beside an existing one."""
        with _naming("message"):
            path = list(self._conversations.path_to(session, identity.user_id, again.message))
        if path[-1].role == "assistant":
            if path[-1].status == "running":
                raise Conflict("This answer is still being written; stop it first.", field="message")
            path = path[:-1]
        if not path:
            raise InvalidRequest("There is no question before this message.", field="message")
        question = path[-1]
        if question.pictures and not card.vision:
            raise InvalidRequest("This question shows pictures; choose a model that sees them.", field="model")
        request = TextRequest(again.client_id, question.text, model=again.model)
        return self._open(session, identity, request, card, question, path[:-1], None)

    def _ask_apart(
        self,
        session: Session,
        identity: Identity,
        request: TextRequest,
        card: ModelCard,
        history: Sequence[ChatMessage],
    ) -> Opened:
        """A question that brings its own history: a branch from the start in the conversation of the day's calls.

        One conversation a call would bury those the user wrote; none at all would hide what was paid for.
        """
        user_id, title = identity.user_id, self._title_of_calls()
        conversation = session.scalar(
            select(Conversation)
            .where(
                Conversation.user_id == user_id,
                Conversation.updated_ms >= self._clock.now_ms() - DAY_MS,
                Conversation.title == title,
                Conversation.version < MAX_CALLS_VERSION,
            )
            .order_by(Conversation.updated_ms.desc())
            .limit(1)
        )
        is_new = conversation is None
        if conversation is None:
            conversation = self._conversations.add(session, user_id=user_id, title=title)
        question = self._conversations.add_message(
            session,
            user_id=user_id,
            conversation_id=conversation.id,
            parent_id=None,
            role="user",
            text=request.text,
            pictures=request.pictures,
        )
        return self._open(session, identity, request, card, question, history, title if is_new else None)

    def _title_of_calls(self) -> str:
        return f"API {datetime.fromtimestamp(self._clock.now_ms() / 1000, UTC).date().isoformat()}"

    def _parent(self, session: Session, conversation: Conversation, request: TextRequest) -> str | None:
        if request.parent == conversation.id:
            return None
        parent_id = request.parent or conversation.head
        if parent_id is None:
            return None
        parent = session.get(Message, parent_id)
        if parent is None or parent.conversation_id != conversation.id:
            raise NotFound("There is no such message in this conversation.", field="parent")
        if parent.status == "running":
            raise Conflict("The answer before this question is still being written; stop it first.", field="parent")
        return parent.id

    def _open(
        self,
        session: Session,
        identity: Identity,
        request: TextRequest,
        card: ModelCard,
        question: Message,
        path: Sequence[Stored],
        title: str | None,
    ) -> Opened:
        turn_id, now_ms = new_id("t"), self._clock.now_ms()
        if request.rounds is not None:
            path = last_rounds(path, request.rounds)
        most = min(request.max_tokens or self._settings.max_output_tokens, card.max_output_tokens)
        room = max(card.context_tokens - most, card.context_tokens // 4)
        messages = prompt(
            path,
            question.text,
            system=request.system or self._settings.system_prompt or None,
            max_messages=self._settings.max_history if request.history is None else max(len(path), 1),
            max_tokens=room,
            pictures=ids_of(question),
        )
        shown = self._showing.choose(session, identity.user_id, messages, card)
        estimate = prompt_tokens(messages) + shown.tokens
        if request.history is not None:
            # The client's own history is sent whole or not at all.
            system = tuple(message for message in messages if message.role == "system")
            if prompt_tokens((*system, *request.history, messages[-1])) > room:
                raise InvalidRequest("This is more than the model can read at once.", field="messages")
        reserved = self._ledger.reserve(
            session,
            user_id=identity.user_id,
            turn_id=turn_id,
            kind="tokens",
            want=estimate + PROMPT_MARGIN + most,
            at_least=estimate + PROMPT_MARGIN + 1,
            now_ms=now_ms,
        )
        answer = self._conversations.add_message(
            session,
            user_id=identity.user_id,
            conversation_id=question.conversation_id,
            parent_id=question.id,
            role="assistant",
            model=card.id,
            turn_id=turn_id,
            status="running",
        )
        turn = Turn(
            id=turn_id,
            user_id=identity.user_id,
            client_id=request.client_id,
            conversation_id=question.conversation_id,
            message_id=answer.id,
            model=card.id,
            status="running",
            prompt_tokens=estimate,
            owner=self._owner,
            created_ms=now_ms,
        )
        session.add(turn)
        session.flush()
        version = self._conversations.touch(session, question.conversation_id, head=answer.id)
        return Opened(
            turn_id=turn_id,
            conversation=question.conversation_id,
            message=answer.id,
            shown=shown,
            prompt_estimate=estimate,
            granted=reserved - estimate - PROMPT_MARGIN,
            short=reserved < estimate + PROMPT_MARGIN + most,
            version=version,
            title=title,
            quota=self._ledger.balance(session, identity.user_id),
        )


@contextmanager
def _naming(field: str) -> Iterator[None]:
    """What is not found was named by this field of the request."""
    try:
        yield
    except NotFound as error:
        raise NotFound(error.message, field=field) from error
