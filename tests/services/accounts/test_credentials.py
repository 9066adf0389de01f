"""A credential proves its user until it expires or is revoked; then nobody takes it any more."""

from __future__ import annotations

import dataclasses

import pytest
from sqlalchemy import Engine, delete, event

from db.models import User
from db.unit_of_work import UnitOfWork
from services.accounts import tokens as tokens_module
from services.accounts.accounts import SIGN_IN_LIFE_S, Accounts
from services.accounts.credentials import CACHE_S
from services.accounts.sessions import LIFE_S, Sessions
from services.accounts.tokens import DEFAULT_LIFE_S, MAX_SIGN_INS, Tokens
from services.errors import Conflict, InvalidRequest, NotFound
from tests.clocks import FakeClock


@pytest.fixture
def ann(accounts: Accounts) -> str:
    return accounts.register("Ann", "correct horse").identity.user_id


@pytest.mark.parametrize("secret", ["", "x", "x" * 100_000, "parley_" + "x" * 43, "é", "\ud800", "a\0b"])
def test_garbage_proves_nobody(tokens: Tokens, sessions: Sessions, secret: str) -> None:
    assert tokens.identify(secret) is None
    assert sessions.identify(secret) is None


def test_a_token_is_named_listed_and_revoked(tokens: Tokens, ann: str) -> None:
    record, secret = tokens.issue(ann, "my\napp", expires_in_s=3600)

    assert (record.name, record.expires_ms) == ("my app", record.created_ms + 3_600_000)
    assert record in tokens.list(ann)
    identity = tokens.identify(secret)
    assert identity is not None
    assert (identity.user_id, identity.credential, identity.credential_id) == (ann, "token", record.id)

    tokens.revoke(ann, record.id)

    assert tokens.identify(secret) is None
    assert not tokens.is_valid(identity)
    assert record.id not in [token.id for token in tokens.list(ann)]


def test_nobody_revokes_anothers_token(tokens: Tokens, accounts: Accounts, ann: str) -> None:
    record, secret = tokens.issue(ann, "app")
    bob = accounts.register("Bob", "correct horse").identity.user_id

    with pytest.raises(NotFound):
        tokens.revoke(bob, record.id)
    assert tokens.identify(secret) is not None


@pytest.mark.parametrize(("life_s", "expected_s"), [(60, 60), (None, DEFAULT_LIFE_S)])
def test_a_token_expires(tokens: Tokens, clock: FakeClock, ann: str, life_s: int | None, expected_s: int) -> None:
    """Even while it is remembered in memory."""
    _, secret = tokens.issue(ann, "app", expires_in_s=life_s)
    clock.advance(expected_s - 1)
    identity = tokens.identify(secret)
    assert identity is not None
    clock.advance(1)
    assert tokens.identify(secret) is None
    assert tokens.still_valid([identity]) == set()


def test_what_cannot_be_issued_is_refused(tokens: Tokens, ann: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, life_s, field in (("  ", None, "name"), ("app", 59, "expires_in_s"), ("app", 10**12, "expires_in_s")):
        with pytest.raises(InvalidRequest) as refusal:
            tokens.issue(ann, name, expires_in_s=life_s)
        assert refusal.value.field == field
    monkeypatch.setattr(tokens_module, "MAX_NAMED", 1)
    tokens.issue(ann, "app")
    with pytest.raises(Conflict):
        tokens.issue(ann, "app")


def test_the_oldest_of_too_many_sign_ins_ends(accounts: Accounts, tokens: Tokens, clock: FakeClock, ann: str) -> None:
    """Tokens asked for by name are not touched by it."""
    _, named = tokens.issue(ann, "app")
    secrets = []
    for _ in range(MAX_SIGN_INS):
        clock.advance(1)
        secrets.append(accounts.login("Ann", "correct horse").token)
    clock.advance(1)
    accounts.login("Ann", "correct horse")

    assert tokens.identify(secrets[0]) is None
    assert tokens.identify(secrets[1]) is not None
    assert tokens.identify(named) is not None
    clock.advance(SIGN_IN_LIFE_S)
    assert tokens.identify(secrets[1]) is None


def test_a_revocation_elsewhere_is_noticed_within_a_minute(
    tokens: Tokens, uow: UnitOfWork, clock: FakeClock, ann: str
) -> None:
    """Another process revokes: the next question to the database knows at once, memory soon."""
    record, secret = tokens.issue(ann, "app")
    identity = tokens.identify(secret)
    assert identity is not None
    Tokens(uow, clock).revoke(ann, record.id)

    assert tokens.still_valid([identity]) == set()
    clock.advance(CACHE_S)
    assert CACHE_S < 60
    assert tokens.identify(secret) is None


def test_a_known_credential_costs_no_query(tokens: Tokens, engine: Engine, ann: str) -> None:
    _, secret = tokens.issue(ann, "app")
    tokens.identify(secret)
    queries = []
    event.listen(engine, "before_cursor_execute", lambda *details: queries.append(details[2]))

    assert tokens.identify(secret) is not None
    assert queries == []


def test_a_look_up_is_one_query_and_the_use_is_noted_once_an_hour(
    tokens: Tokens, uow: UnitOfWork, engine: Engine, clock: FakeClock, ann: str
) -> None:
    record, secret = tokens.issue(ann, "app")
    queries: list[str] = []
    event.listen(engine, "before_cursor_execute", lambda *details: queries.append(details[2].split()[0]))

    for _ in range(4):
        tokens.identify(secret)
        clock.advance(1200)
    assert [query for query in queries if query != "BEGIN"] == [
        "SELECT",
        "UPDATE",
        "SELECT",
        "SELECT",
        "SELECT",
        "UPDATE",
    ]
    assert next(token for token in tokens.list(ann) if token.id == record.id).last_used_ms == clock.now_ms() - 1_200_000


def test_a_batch_is_checked_whole(tokens: Tokens, sessions: Sessions, accounts: Accounts) -> None:
    """The timer that cuts live sockets asks for all of them at once; a new name does not end a credential."""
    people = [accounts.create_guest().identity for _ in range(20)]
    gone = people[::3]
    for identity in gone:
        tokens.end(identity)
    renamed = dataclasses.replace(people[1], name="Other", guest=False)

    assert tokens.still_valid([*people, renamed]) == ({*people, renamed} - set(gone))
    assert sessions.still_valid(people) == set()


def test_a_browser_session_ends_by_time_or_by_sign_out(sessions: Sessions, clock: FakeClock, ann: str) -> None:
    cookie, other = sessions.start(ann), sessions.start(ann)
    identity = sessions.identify(cookie)
    assert identity is not None
    assert (identity.user_id, identity.credential) == (ann, "session")

    sessions.end(identity)
    assert sessions.identify(cookie) is None
    assert sessions.identify(other) is not None
    clock.advance(LIFE_S)
    assert sessions.identify(other) is None


def test_signing_in_replaces_the_cookie_the_browser_had(sessions: Sessions, ann: str) -> None:
    """Whoever planted or saw the old one is not signed in by it."""
    planted = sessions.start(ann)
    assert sessions.identify(planted) is not None

    fresh = sessions.start(ann, replaces=planted)

    assert fresh != planted
    assert sessions.identify(planted) is None
    assert sessions.identify(fresh) is not None


def test_a_deleted_users_credentials_prove_nobody(tokens: Tokens, uow: UnitOfWork, clock: FakeClock, ann: str) -> None:
    _, secret = tokens.issue(ann, "app")
    with uow() as session:
        session.execute(delete(User).where(User.id == ann))

    assert tokens.identify(secret) is None
