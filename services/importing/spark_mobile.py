"""Users and quotas of the old spark-mobile server, from its `user` table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from sqlalchemy import create_engine, text
from sqlalchemy.orm import Session

from db.unit_of_work import UnitOfWork
from services.accounts.former_passwords import is_spark_mobile_md5
from services.accounts.passwords import Passwords
from services.accounts.standing import StandingTokens
from services.administration.users import MAX_ACADEMY, note_academy
from services.clock import Clock
from services.quota.ledger import Ledger

from .people import People, Person
from .traces import Report

SOURCE = "spark-mobile"
_LONGEST_ID = 80


def import_users(
    url: str, *, uow: UnitOfWork, clock: Clock, passwords: Passwords, standing: StandingTokens, merge: bool
) -> Report:
    """Bring over every user of the table that is not here yet.

    Passwords go on being good, once by the old hash. The old `Id` goes on opening the account, as clients have it
    built in, until the password is changed.

    Args:
        url: The old database, `mysql+pymysql://user:password@host/name`; only read.
    """
    people, report = People(uow, clock, SOURCE, merge=merge), Report()
    for row in _rows(url):
        old_id = str(row.get("id") or "")
        if not 0 < len(old_id) <= _LONGEST_ID:
            report.skipped.append("a user without a usable Id")
            continue
        people.add(_person(row, old_id, passwords, standing), report)
    return report


def _rows(url: str) -> Iterator[Mapping[str, Any]]:
    """The table's rows, column names in small letters: servers differ in what they kept of them."""
    engine = create_engine(url, hide_parameters=True)
    name = engine.dialect.identifier_preparer.quote_identifier("user")
    try:
        with engine.connect() as connection:
            for row in connection.execute(text(f"SELECT * FROM {name}")).mappings():  # noqa: S608 - a quoted constant
                yield {key.lower(): value for key, value in row.items()}
    finally:
        engine.dispose()


def _person(row: Mapping[str, Any], old_id: str, passwords: Passwords, standing: StandingTokens) -> Person:
    md5 = str(row.get("password") or "").strip().lower()

    def afterwards(session: Session, user_id: str) -> None:
        note_academy(session, user_id, str(row.get("academy") or "")[:MAX_ACADEMY])
        standing.admit(session, user_id, old_id)

    return Person(
        old_id=old_id,
        name=str(row.get("username") or ""),
        email=str(row.get("email") or ""),
        password_hash=lambda: passwords.keep_spark_mobile(md5) if is_spark_mobile_md5(md5) else None,
        # The old server let tokens fall below zero, and began with no picTimes at all.
        ledger=Ledger(
            initial_tokens=max(int(row.get("tokens") or 0), 0), initial_pictures=max(int(row.get("pictimes") or 0), 0)
        ),
        afterwards=afterwards,
    )
