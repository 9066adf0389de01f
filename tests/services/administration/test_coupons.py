"""A coupon gives what it is worth to those it is for, once each."""

from __future__ import annotations

import gevent
import pytest

from db.unit_of_work import UnitOfWork
from services.accounts.accounts import Accounts
from services.administration.coupons import Coupons
from services.administration.users import note_academy
from services.errors import ChatError, Conflict, Forbidden, NotFound
from services.quota.ledger import Ledger, Quota
from tests.clocks import FakeClock

PASSWORD = "correct horse"


@pytest.fixture
def coupons(uow: UnitOfWork, clock: FakeClock, ledger: Ledger) -> Coupons:
    return Coupons(uow=uow, clock=clock, ledger=ledger)


def test_of_parallel_requests_exactly_one_gets_it(
    coupons: Coupons, accounts: Accounts, uow: UnitOfWork, ledger: Ledger
) -> None:
    coupons.add("spring", tokens=50, pictures=2, range_="")
    ann = accounts.register("Ann", PASSWORD).identity
    outcomes: list[str] = []

    def redeem() -> None:
        try:
            coupons.redeem("spring", ann.user_id)
            outcomes.append("had")
        except ChatError as error:
            outcomes.append(error.code)

    gevent.joinall([gevent.spawn(redeem) for _ in range(8)], raise_error=True)

    assert sorted(outcomes) == ["conflict"] * 7 + ["had"]
    with uow.read() as session:
        assert ledger.balance(session, ann.user_id) == Quota(1050, 5)
    coupons.redeem("spring", accounts.register("Bob", PASSWORD).identity.user_id)


@pytest.mark.parametrize(
    ("range_", "stored", "said", "gets"),
    [
        ("all", "", "", True),
        ("全部", "physics", "", True),
        ("physics，maths", "Maths", "", True),
        ("physics", "", "physics", True),
        ("physics", "maths", "physics", False),
        ("physics", "", "", False),
    ],
)
def test_a_range_is_held_against_the_stored_academy_first(
    coupons: Coupons, accounts: Accounts, uow: UnitOfWork, range_: str, stored: str, said: str, gets: bool
) -> None:
    coupons.add("one", tokens=1, pictures=0, range_=range_)
    ann = accounts.register("Ann", PASSWORD).identity
    with uow() as session:
        note_academy(session, ann.user_id, stored)

    if gets:
        coupons.redeem("one", ann.user_id, academy=said)
    else:
        with pytest.raises(Forbidden):
            coupons.redeem("one", ann.user_id, academy=said)


def test_a_coupon_changes_and_ends(coupons: Coupons, accounts: Accounts) -> None:
    ann = accounts.register("Ann", PASSWORD).identity
    coupons.add("one", tokens=1, pictures=0, range_="")
    with pytest.raises(Conflict):
        coupons.add("one", tokens=1, pictures=0, range_="")

    coupons.switch("one", False)
    with pytest.raises(Forbidden):
        coupons.redeem("one", ann.user_id)
    coupons.modify("one", tokens=7, pictures=8, range_="all", available=True)
    assert coupons.redeem("one", ann.user_id).pictures == 8
    assert (coupons.count(), [coupon.name for coupon in coupons.page(0, 10)]) == (1, ["one"])

    coupons.delete("one")
    for lost in (coupons.delete, coupons.named, lambda name: coupons.redeem(name, ann.user_id)):
        with pytest.raises(NotFound):
            lost("one")
