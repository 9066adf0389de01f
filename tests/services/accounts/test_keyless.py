"""Programs without a key are one guest an address, on whichever worker they arrive."""

from __future__ import annotations

import gevent
import pytest
from sqlalchemy import func, select

from db.models import User
from db.unit_of_work import UnitOfWork
from services.accounts.accounts import Accounts
from services.accounts.doorkeeper import Doorkeeper
from services.accounts.keyless import KeylessGuests
from services.accounts.sessions import Sessions
from services.accounts.standing import StandingTokens
from services.accounts.tokens import Tokens
from services.errors import RateLimited, Unauthenticated
from tests.clocks import FakeClock


@pytest.fixture
def workers(uow: UnitOfWork, clock: FakeClock, accounts: Accounts) -> list[Doorkeeper]:
    return [doorkeeper_of(uow, clock, accounts) for _ in range(2)]


def doorkeeper_of(
    uow: UnitOfWork, clock: FakeClock, accounts: Accounts, *, allowed: bool = True, wait_s: float = 0
) -> Doorkeeper:
    tokens = Tokens(uow, clock)
    standing = StandingTokens(uow, clock, key=lambda: "key", purpose="Keyless guest")
    return Doorkeeper(
        accounts=accounts,
        tokens=tokens,
        sessions=Sessions(uow, clock),
        keyless=KeylessGuests(uow=uow, tokens=tokens, standing=standing, key=lambda: "key"),
        guests_allowed=allowed,
        guest_wait_s=lambda address: wait_s,
    )


def test_an_address_is_the_same_guest_on_every_worker(workers: list[Doorkeeper]) -> None:
    """And after a restart; another address is another guest."""
    one, other = workers
    guest = one.guest_of("10.0.0.1")
    assert guest.guest
    assert other.guest_of("10.0.0.1").user_id == guest.user_id
    assert other.guest_of("10.0.0.2").user_id != guest.user_id


def test_first_calls_at_once_agree(workers: list[Doorkeeper]) -> None:
    asked = [gevent.spawn(workers[number % 2].guest_of, "10.0.0.1") for number in range(8)]
    gevent.joinall(asked, timeout=30, raise_error=True)
    assert len({one.value.user_id for one in asked}) == 1


def test_limits_and_the_wish_for_no_guests_hold(uow: UnitOfWork, clock: FakeClock, accounts: Accounts) -> None:
    """A guest that is known needs no leave to come in again, as long as guests are let in at all."""
    busy = doorkeeper_of(uow, clock, accounts, wait_s=5)
    with pytest.raises(RateLimited):
        busy.guest_of("10.0.0.1")
    with uow.read() as session:
        assert session.scalar(select(func.count()).select_from(User)) == 0
    guest = doorkeeper_of(uow, clock, accounts).guest_of("10.0.0.1")
    assert busy.guest_of("10.0.0.1").user_id == guest.user_id
    with pytest.raises(Unauthenticated):
        doorkeeper_of(uow, clock, accounts, allowed=False).guest_of("10.0.0.1")
