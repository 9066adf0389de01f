"""Conversations and their messages: what a user sees, changes and takes away.

Whatever is another user's looks absent. The methods that take a session work inside the caller's transaction;
the others open their own, and must not be called inside one.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import delete, func, literal, select, update
from sqlalchemy.orm import Session

from db.models import Conversation, Message, SearchEntry, Turn
from db.unit_of_work import UnitOfWork
from services.cleaning import one_line
from services.clock import Clock
from services.errors import Conflict, InvalidRequest, NotFound
from services.ids import new_id

from . import search
from .paging import Cursor, Page, newer_than, older_than, read_cursor
from .records import ConversationRecord, MessageRecord

MAX_CONVERSATIONS = 100_000
"""Of one user."""
MAX_TITLE = 200
MAX_AUTOMATIC_TITLE = 60
MAX_PATH = 900
"""Messages `path_to` goes back at most; MariaDB ends a recursion at 1000 rounds without a word."""
MAX_PAGE = 500
_DELETED_AT_ONCE = 500


class Conversations:
    """Everything about conversations but the turns that fill them."""

    def __init__(self, uow: UnitOfWork, clock: Clock) -> None:
        self._uow = uow
        self._clock = clock

    # For the edges: each opens its own transaction.

    def create(self, user_id: str, title: str = "") -> ConversationRecord:
        """Raises `Conflict` for a user who has `MAX_CONVERSATIONS`."""
        return self._uow.run(lambda session: ConversationRecord.of(self.add(session, user_id=user_id, title=title)))

    def get(self, user_id: str, conversation_id: str) -> ConversationRecord:
        with self._uow.read() as session:
            return ConversationRecord.of(self.owned(session, user_id, conversation_id))

    def list(
        self, user_id: str, *, limit: int = 50, before: str | None = None, query: str = ""
    ) -> Page[ConversationRecord]:
        """Newest first. With a query, those whose title or one of whose messages has all its words, with a snippet."""
        limit = _checked_limit(limit)
        cursor = read_cursor(before, field="before")
        with self._uow.read() as session:
            records: Sequence[ConversationRecord]
            if query.strip():
                records = search.find(session, user_id=user_id, query=query, limit=limit + 1, before=cursor)
            else:
                records = self._newest(session, user_id, limit + 1, cursor)
        more = len(records) > limit
        last = records[limit - 1] if more else None
        return Page(list(records[:limit]), str(Cursor(last.updated_ms, last.id)) if last else None)

    def rename(self, user_id: str, conversation_id: str, title: str) -> ConversationRecord:
        """Raises `InvalidRequest` for a title of nothing but white space."""
        title = one_line(title, MAX_TITLE)
        if not title:
            raise InvalidRequest("A title needs at least one letter.", field="title")

        def work(session: Session) -> ConversationRecord:
            row = self.owned(session, user_id, conversation_id)
            row.title = title
            row.version = _grown(session, conversation_id, {})
            search.index_title(session, row)
            return ConversationRecord.of(row)

        return self._uow.run(work)

    def delete(self, user_id: str, conversation_id: str) -> None:
        """Delete a conversation with all its messages. Its turns stay: they are what was paid for, without text.

        A long one goes in parts, so that no transaction holds others up; if that is cut short, the rest is still
        there to be deleted.
        """
        while not self._uow.run(lambda session: self._delete_some(session, user_id, conversation_id)):
            pass

    def messages(
        self, user_id: str, conversation_id: str, *, limit: int = 200, after: str | None = None
    ) -> Page[MessageRecord]:
        """Oldest first, all branches."""
        limit = _checked_limit(limit)
        cursor = read_cursor(after, field="after")
        statement = (
            select(Message, Turn.reason, Turn.error_code)
            .outerjoin(Turn, Turn.id == Message.turn_id)
            .where(Message.conversation_id == conversation_id, Message.user_id == user_id)
        )
        if cursor is not None:
            statement = statement.where(newer_than(cursor))
        with self._uow.read() as session:
            self.owned(session, user_id, conversation_id)
            rows = session.execute(statement.order_by(Message.created_ms, Message.id).limit(limit + 1)).all()
        last = rows[limit - 1][0] if len(rows) > limit else None
        return Page(
            [MessageRecord.of(row, reason=reason, error_code=code) for row, reason, code in rows[:limit]],
            str(Cursor(last.created_ms, last.id)) if last else None,
        )

    # For turns: inside the caller's transaction.

    def add(self, session: Session, *, user_id: str, title: str = "") -> Conversation:
        """A new conversation. Raises `Conflict` for a user who has `MAX_CONVERSATIONS`."""
        count = session.scalar(select(func.count()).select_from(Conversation).where(Conversation.user_id == user_id))
        if (count or 0) >= MAX_CONVERSATIONS:
            raise Conflict(f"No more than {MAX_CONVERSATIONS} conversations; delete some first.")
        now_ms = self._clock.now_ms()
        row = Conversation(
            id=new_id("c"),
            user_id=user_id,
            title=one_line(title, MAX_TITLE),
            head=None,
            version=1,
            created_ms=now_ms,
            updated_ms=now_ms,
        )
        session.add(row)
        session.flush()
        if row.title:
            search.index_title(session, row)
        return row

    def owned(self, session: Session, user_id: str, conversation_id: str, *, hold: bool = False) -> Conversation:
        """The user's conversation. Raises `NotFound`.

        Args:
            hold: Let nobody else, in whichever process, hold it until the transaction ends.
        """
        row = session.get(Conversation, conversation_id, with_for_update=hold)
        if row is None or row.user_id != user_id:
            raise NotFound("There is no such conversation.")
        return row

    def message(self, session: Session, user_id: str, message_id: str) -> Message:
        """The user's message. Raises `NotFound`."""
        row = session.get(Message, message_id)
        if row is None or row.user_id != user_id:
            raise NotFound("There is no such message.")
        return row

    def add_message(
        self,
        session: Session,
        *,
        user_id: str,
        conversation_id: str,
        parent_id: str | None,
        role: str,
        text: str = "",
        pictures: Sequence[str] = (),
        model: str = "",
        turn_id: str | None = None,
        status: str = "",
        message_id: str | None = None,
    ) -> Message:
        """Append a message below `parent_id`; None begins a new branch at the root.

        It is later than its parent even within one millisecond, so that a page in time order reads well. The first
        message of a user gives an untitled conversation its title. Text is made findable here; an answer's, which
        comes later, by `index_message`.

        Raises:
            NotFound: No such conversation of this user, or no such parent in it.
        """
        conversation = self.owned(session, user_id, conversation_id)
        created_ms = self._clock.now_ms()
        if parent_id is not None:
            parent = self.message(session, user_id, parent_id)
            if parent.conversation_id != conversation_id:
                raise NotFound("There is no such message in this conversation.")
            created_ms = max(created_ms, parent.created_ms + 1)
        message = Message(
            id=message_id or new_id("m"),
            conversation_id=conversation_id,
            user_id=user_id,
            parent_id=parent_id,
            role=role,
            text=text,
            pictures=" ".join(pictures),
            reasoning="",
            model=model,
            turn_id=turn_id,
            status=status,
            prompt_tokens=0,
            completion_tokens=0,
            charged=0,
            created_ms=created_ms,
        )
        session.add(message)
        session.flush()
        search.add_message(session, message)
        if role == "user" and not conversation.title:
            conversation.title = automatic_title(text)
            search.index_title(session, conversation)
        return message

    def index_message(self, session: Session, message: Message) -> None:
        """Make an answer's final text findable."""
        search.index_message(session, message)

    def touch(self, session: Session, conversation_id: str, *, head: str | None = None) -> int:
        """Note a change; the version it has now, 0 when it was deleted meanwhile.

        Args:
            head: The newest leaf from now on; None leaves it.
        """
        values: dict[str, object] = {"updated_ms": self._clock.now_ms()}
        return _grown(session, conversation_id, values | ({"head": head} if head else {}))

    def path_to(self, session: Session, user_id: str, message_id: str, *, limit: int = MAX_PATH) -> Sequence[Message]:
        """The messages from the root (or the `limit`-th before the end) down to this one. Raises `NotFound`."""
        chain = (
            select(Message.id, Message.parent_id, literal(1).label("depth"))
            .where(Message.id == message_id, Message.user_id == user_id)
            .cte("chain", recursive=True)
        )
        parents = (
            select(Message.id, Message.parent_id, chain.c.depth + 1)
            .join(chain, Message.id == chain.c.parent_id)
            .where(chain.c.depth < min(limit, MAX_PATH))
        )
        chain = chain.union_all(parents)
        rows = session.scalars(
            select(Message).join(chain, Message.id == chain.c.id).order_by(chain.c.depth.desc())
        ).all()
        if not rows:
            raise NotFound("There is no such message.")
        return rows

    def _newest(
        self, session: Session, user_id: str, limit: int, before: Cursor | None
    ) -> Sequence[ConversationRecord]:
        statement = select(Conversation).where(Conversation.user_id == user_id)
        if before is not None:
            statement = statement.where(older_than(before))
        rows = session.scalars(statement.order_by(Conversation.updated_ms.desc(), Conversation.id.desc()).limit(limit))
        return [ConversationRecord.of(row) for row in rows]

    def _delete_some(self, session: Session, user_id: str, conversation_id: str) -> bool:
        """Delete a part; whether nothing is left."""
        self.owned(session, user_id, conversation_id)
        some = session.scalars(
            select(Message.id).where(Message.conversation_id == conversation_id).limit(_DELETED_AT_ONCE)
        ).all()
        session.execute(delete(SearchEntry).where(SearchEntry.message_id.in_(some)))
        session.execute(delete(Message).where(Message.id.in_(some)))
        if len(some) == _DELETED_AT_ONCE:
            return False
        session.execute(delete(Conversation).where(Conversation.id == conversation_id))
        return True


def automatic_title(text: str) -> str:
    """The first line that says something, at most `MAX_AUTOMATIC_TITLE` characters."""
    first = next((line for line in text.splitlines() if line.strip()), "")
    title = one_line(first, MAX_TITLE)
    return title if len(title) <= MAX_AUTOMATIC_TITLE else title[: MAX_AUTOMATIC_TITLE - 1].rstrip() + "…"


def _checked_limit(limit: int) -> int:
    if not 1 <= limit <= MAX_PAGE:
        raise InvalidRequest(f"limit must be from 1 to {MAX_PAGE}.", field="limit")
    return limit


def _grown(session: Session, conversation_id: str, values: dict[str, object]) -> int:
    """Raise the version by one, whoever else does so at the same time; what it is now, 0 when there is none."""
    session.execute(
        update(Conversation)
        .where(Conversation.id == conversation_id)
        .values(version=Conversation.version + 1, **values),
        execution_options={"synchronize_session": False},
    )
    return session.scalar(select(Conversation.version).where(Conversation.id == conversation_id)) or 0
