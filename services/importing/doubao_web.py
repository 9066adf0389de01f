"""Users and conversations of the old doubao-web server, from its SQLite file."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy.orm import Session

from db.unit_of_work import UnitOfWork
from services.accounts.former_passwords import WERKZEUG, is_werkzeug
from services.cleaning import clean
from services.clock import Clock
from services.conversations.conversations import Conversations
from services.quota.ledger import Ledger

from . import traces
from .people import People, Person
from .traces import Report

SOURCE = "doubao-web"
_CONVERSATION = f"{SOURCE} conversation"


class _Then:
    """A clock that shows when the row at hand was written, so that it is stored as of then."""

    def __init__(self) -> None:
        self.ms = 0

    def now_ms(self) -> int:
        return self.ms

    def monotonic(self) -> float:
        return self.ms / 1000


def import_conversations(
    path: Path, *, uow: UnitOfWork, clock: Clock, ledger: Ledger, merge: bool
) -> tuple[Report, Report]:
    """Bring over every user and every conversation with a message that is not here yet; the two reports.

    Users get what everybody starts with here: the old server counted nothing. A conversation that was imported before
    stays as it is here, whatever the old server has added to it since.
    """
    users, conversations = Report(), Report()
    people = People(uow, clock, SOURCE, merge=merge)
    with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as old:
        for old_id, name, password in old.execute("SELECT id, username, password FROM user ORDER BY id").fetchall():
            user_id = people.add(_person(str(old_id), str(name), str(password or ""), ledger), users)
            if user_id is not None:
                _import_of(old, old_id, user_id, uow, clock, conversations)
    return users, conversations


def _person(old_id: str, name: str, password: str, ledger: Ledger) -> Person:
    return Person(
        old_id=old_id,
        name=name,
        email="",
        password_hash=lambda: WERKZEUG + password if is_werkzeug(password) else None,
        ledger=ledger,
    )


def _import_of(
    old: sqlite3.Connection, old_user: object, user_id: str, uow: UnitOfWork, clock: Clock, report: Report
) -> None:
    sessions = old.execute(
        "SELECT id, created_at FROM chat_session WHERE user_id = ? ORDER BY created_at, id", (old_user,)
    ).fetchall()
    for old_id, created_at in sessions:
        messages = old.execute(
            "SELECT role, content, timestamp FROM chat_message WHERE session_id = ? ORDER BY timestamp, id", (old_id,)
        ).fetchall()
        messages = [row for row in messages if row[0] in ("user", "assistant") and clean(str(row[1] or "")).strip()]
        if not messages:
            continue
        with uow.read() as session:
            if traces.known(session, _CONVERSATION, str(old_id)) is not None:
                report.known += 1
                continue
        created_ms = _milliseconds(created_at, clock.now_ms())
        with uow() as session:
            new = _store(session, uow, user_id, messages, created_ms)
            traces.note(session, _CONVERSATION, str(old_id), new)
        report.added += 1


def _store(session: Session, uow: UnitOfWork, user_id: str, rows: Sequence[Any], created_ms: int) -> str:
    """One conversation with its messages, one below the other."""
    then = _Then()
    then.ms = created_ms
    conversations = Conversations(uow, then)
    conversation = conversations.add(session, user_id=user_id)
    parent: str | None = None
    for role, content, timestamp in rows:
        then.ms = max(_milliseconds(timestamp, then.ms), then.ms)
        message = conversations.add_message(
            session,
            user_id=user_id,
            conversation_id=conversation.id,
            parent_id=parent,
            role=role,
            text=clean(str(content)),
            status="done" if role == "assistant" else "",
        )
        parent = message.id
    conversations.touch(session, conversation.id, head=parent)
    return conversation.id


def _milliseconds(written: object, otherwise: int) -> int:
    """A time as SQLAlchemy writes it into SQLite: local, as that server took it from its machine's clock."""
    try:
        return int(datetime.fromisoformat(str(written)).timestamp() * 1000)
    except ValueError:
        return otherwise
