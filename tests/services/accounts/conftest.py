"""The account services over a database."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from argon2 import PasswordHasher

from db.unit_of_work import UnitOfWork
from services.accounts.accounts import Accounts
from services.accounts.passwords import Passwords
from services.accounts.sessions import Sessions
from services.accounts.throttle import LoginThrottle
from services.accounts.tokens import Tokens
from services.quota.ledger import Ledger
from tests.clocks import FakeClock


@pytest.fixture
def ledger() -> Ledger:
    return Ledger(initial_tokens=1000, initial_pictures=3)


@pytest.fixture
def passwords() -> Iterator[Passwords]:
    """The real thing at the lowest cost."""
    passwords = Passwords(PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))
    yield passwords
    passwords.close()


@pytest.fixture
def tokens(uow: UnitOfWork, clock: FakeClock) -> Tokens:
    return Tokens(uow, clock)


@pytest.fixture
def sessions(uow: UnitOfWork, clock: FakeClock) -> Sessions:
    return Sessions(uow, clock)


@pytest.fixture
def accounts(
    uow: UnitOfWork, clock: FakeClock, passwords: Passwords, tokens: Tokens, sessions: Sessions, ledger: Ledger
) -> Iterator[Accounts]:
    yield Accounts(
        uow=uow,
        clock=clock,
        passwords=passwords,
        tokens=tokens,
        sessions=sessions,
        open_account=ledger.open_account,
        throttle=LoginThrottle(clock),
    )
    with uow.read() as session:
        assert ledger.audit(session) == []
