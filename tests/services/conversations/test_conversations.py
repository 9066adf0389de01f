"""A user sees, changes and deletes exactly their own conversations."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from sqlalchemy import Engine, func, select, text

from db.models import Conversation, Message, SearchEntry
from db.unit_of_work import UnitOfWork
from services.conversations import conversations as module
from services.conversations.conversations import Conversations, automatic_title
from services.errors import Conflict, InvalidRequest, NotFound
from tests.clocks import FakeClock

from .conftest import Talk


def test_the_list_has_the_newest_first_and_pages_do_not_shift(
    conversations: Conversations, talk: Talk, clock: FakeClock
) -> None:
    """A conversation that moves up between two pages is neither shown twice nor pushes another out of sight."""
    ids = []
    for number in range(7):
        clock.advance(1 if number % 2 else 0)  # some share their time
        ids.append(conversations.create("ann", f"number {number}").id)
    conversations.create("bob", "not hers")

    first = conversations.list("ann", limit=3)
    clock.advance(1)
    talk.say(first.items[0].id, "back to the top")
    shown = [record.id for record in first.items]
    cursor = first.next
    while cursor is not None:
        page = conversations.list("ann", limit=3, before=cursor)
        shown += [record.id for record in page.items]
        cursor = page.next

    assert sorted(shown) == sorted(ids)
    times = [conversations.get("ann", found).updated_ms for found in shown[1:]]
    assert times == sorted(times, reverse=True)


@pytest.mark.parametrize("cursor", ["x", "1", "1.", ".x", "-1.x", "1e3.x", "١.x", "9" * 30 + ".x", "1." + "x" * 99])
def test_a_cursor_that_is_not_ours_is_refused(conversations: Conversations, cursor: str) -> None:
    conversation = conversations.create("ann").id
    with pytest.raises(InvalidRequest) as refusal:
        conversations.list("ann", before=cursor)
    assert refusal.value.field == "before"
    with pytest.raises(InvalidRequest) as refusal:
        conversations.messages("ann", conversation, after=cursor)
    assert refusal.value.field == "after"


@pytest.mark.parametrize("limit", [0, -1, 501])
def test_a_page_has_bounds(conversations: Conversations, limit: int) -> None:
    with pytest.raises(InvalidRequest):
        conversations.list("ann", limit=limit)


def test_what_is_another_users_looks_absent(conversations: Conversations, talk: Talk, uow: UnitOfWork) -> None:
    """Every way in, with a real id and one that never was, gets the same answer."""
    hers = conversations.create("ann", "secret").id
    message = talk.say(hers, "secret words")

    def path() -> object:
        with uow.read() as session:
            return conversations.path_to(session, "bob", message)

    def reply(parent: str | None, to: str) -> Callable[[], object]:
        return lambda: talk.say(to, "mine now", parent=parent, user="bob")

    his = conversations.create("bob").id
    attempts: list[Callable[[], object]] = [
        path,
        reply(message, hers),
        reply(None, hers),
        reply(message, his),
        *(
            attempt
            for conversation in (hers, "c_never")
            for attempt in (
                lambda conversation=conversation: conversations.get("bob", conversation),
                lambda conversation=conversation: conversations.rename("bob", conversation, "mine"),
                lambda conversation=conversation: conversations.delete("bob", conversation),
                lambda conversation=conversation: conversations.messages("bob", conversation),
            )
        ),
    ]
    for attempt in attempts:
        with pytest.raises(NotFound):
            attempt()

    assert [record.id for record in conversations.list("bob").items] == [his]
    assert conversations.list("bob", query="secret").items == []
    assert conversations.get("ann", hers).title == "secret"
    assert [record.text for record in conversations.messages("ann", hers).items] == ["secret words"]


def test_messages_come_oldest_first_even_within_one_millisecond(conversations: Conversations, talk: Talk) -> None:
    """An answer never stands before its question, whatever its random id."""
    conversation = conversations.create("ann").id
    parent, ids = None, []
    for number in range(9):
        parent = talk.say(conversation, str(number), parent=parent, message_id=f"m_{9 - number}")
        ids.append(parent)

    shown, cursor = [], None
    while True:
        page = conversations.messages("ann", conversation, limit=4, after=cursor)
        shown += [record.id for record in page.items]
        if (cursor := page.next) is None:
            break
    assert shown == ids


def test_the_path_to_a_message_is_its_branch(conversations: Conversations, talk: Talk, uow: UnitOfWork) -> None:
    conversation = conversations.create("ann").id
    question = talk.say(conversation, "question")
    answer = talk.say(conversation, "answer", parent=question, role="assistant")
    other = talk.say(conversation, "other answer", parent=question, role="assistant")
    leaf = talk.say(conversation, "and then", parent=answer)

    def path(message: str, limit: int = 900) -> list[str]:
        with uow.read() as session:
            return [row.text for row in conversations.path_to(session, "ann", message, limit=limit)]

    assert path(leaf) == ["question", "answer", "and then"]
    assert path(other) == ["question", "other answer"]
    assert path(leaf, limit=2) == ["answer", "and then"]
    assert conversations.get("ann", conversation).head == leaf


def test_a_very_long_path_is_bounded(conversations: Conversations, uow: UnitOfWork) -> None:
    """No database's limit of recursion cuts it somewhere else."""
    conversation = conversations.create("ann").id
    with uow() as session:
        session.add_all(
            Message(
                id=f"m{number}", conversation_id=conversation, user_id="ann", role="user", text=str(number),
                parent_id=f"m{number - 1}" if number else None, created_ms=number,
            )
            for number in range(1500)
        )  # fmt: skip

    with uow.read() as session:
        path = conversations.path_to(session, "ann", "m1499", limit=10_000)

    assert [row.text for row in path] == [str(number) for number in range(600, 1500)]


def test_every_change_raises_the_version(conversations: Conversations, talk: Talk) -> None:
    record = conversations.create("ann", "first")
    renamed = conversations.rename("ann", record.id, "second")
    talk.say(record.id, "hello")
    changed = conversations.get("ann", record.id)

    assert [record.version, renamed.version, changed.version] == [1, 2, 3]
    assert renamed.updated_ms == record.updated_ms
    assert changed.title == "second"


def test_touching_what_is_gone_says_so_and_breaks_nothing(conversations: Conversations, uow: UnitOfWork) -> None:
    """A turn that ends after its conversation was deleted can still be paid for in the same transaction."""
    gone = conversations.create("ann").id
    conversations.delete("ann", gone)

    with uow() as session:
        assert conversations.touch(session, gone) == 0


@pytest.mark.parametrize(
    ("text", "title"),
    [
        ("你好，世界", "你好，世界"),
        ("\n\n  first line  \nsecond", "first line"),
        ("tab\tand\u2028line", "tab and"),
        ("x" * 61, "x" * 59 + "…"),
        ("x" * 60, "x" * 60),
        ("   ", ""),
        ("𠮷😀 ok", "𠮷😀 ok"),
    ],
)
def test_the_first_message_gives_the_title(conversations: Conversations, talk: Talk, text: str, title: str) -> None:
    conversation = conversations.create("ann").id
    first = talk.say(conversation, text)
    talk.say(conversation, "another", parent=first, role="assistant")

    assert automatic_title(text) == title
    assert conversations.get("ann", conversation).title == title


def test_titles_are_one_bounded_line(conversations: Conversations) -> None:
    record = conversations.create("ann", " a\nb\0c\u202e " + "x" * 300)
    assert record.title == "a bc " + "x" * 195
    with pytest.raises(InvalidRequest):
        conversations.rename("ann", record.id, " \n\0 ")


def test_a_user_has_a_limit(conversations: Conversations, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_CONVERSATIONS", 2)
    conversations.create("ann")
    conversations.create("ann")
    with pytest.raises(Conflict):
        conversations.create("ann")
    conversations.create("bob")


@pytest.mark.parametrize("messages", [0, 4, 5, 6])
def test_deleting_leaves_nothing_behind(
    conversations: Conversations,
    talk: Talk,
    uow: UnitOfWork,
    engine: Engine,
    monkeypatch: pytest.MonkeyPatch,
    messages: int,
) -> None:
    """However many parts it takes; another conversation is not touched."""
    monkeypatch.setattr(module, "_DELETED_AT_ONCE", 3)
    kept = conversations.create("ann", "kept words").id
    talk.say(kept, "kept words")
    gone = conversations.create("ann", "gone words").id
    for number in range(messages):
        talk.say(gone, f"gone words {number}")

    conversations.delete("ann", gone)

    with uow.read() as session:
        tables = (Conversation, Message, SearchEntry)
        assert [session.scalar(select(func.count()).select_from(table)) for table in tables] == [1, 1, 2]
    if engine.dialect.name == "sqlite":
        with uow() as session:  # raises when FTS5's index and what it indexes differ
            session.execute(text("INSERT INTO search_text(search_text, rank) VALUES ('integrity-check', 1)"))
    assert [record.id for record in conversations.list("ann", query="words").items] == [kept]
    with pytest.raises(NotFound):
        conversations.delete("ann", gone)
