"""An administrator's changes to users are whole, and the books balance after each."""

from __future__ import annotations

import pytest
from sqlalchemy import func, select

from db.models import LedgerEntry, User
from db.unit_of_work import UnitOfWork
from services.accounts.accounts import Accounts
from services.accounts.passwords import Passwords
from services.accounts.sessions import Sessions
from services.accounts.tokens import Tokens
from services.administration.admins import Admins
from services.administration.users import UserForm, Users
from services.errors import Conflict, InvalidRequest, NotFound, Unauthenticated
from services.quota.ledger import Ledger
from tests.clocks import FakeClock

PASSWORD = "correct horse"


@pytest.fixture
def ended() -> list[str]:
    return []


@pytest.fixture
def users(
    uow: UnitOfWork, clock: FakeClock, passwords: Passwords, tokens: Tokens, sessions: Sessions, ledger: Ledger,
    ended: list[str],
) -> Users:  # fmt: skip
    return Users(
        uow=uow,
        clock=clock,
        passwords=passwords,
        tokens=tokens,
        sessions=sessions,
        ledger=ledger,
        end_turns=ended.append,
    )


def test_a_user_is_added_changed_and_deleted(
    users: Users, accounts: Accounts, tokens: Tokens, uow: UnitOfWork, ended: list[str]
) -> None:
    users.add(UserForm("Ann", "pw", tokens=500, pictures=0, email="a@b.c", academy="maths"))
    signed_in = accounts.login("Ann", "pw")
    found = users.named("ann")
    assert (found.name, found.tokens, found.pictures, found.email, found.academy) == ("Ann", 500, 0, "a@b.c", "maths")

    users.modify("Ann", UserForm("Anna", None, tokens=20, pictures=9, email="", academy=""))
    changed = users.named("Anna")
    assert (changed.tokens, changed.pictures, changed.email, changed.academy) == (20, 9, "", "")
    assert tokens.identify(signed_in.token) is not None

    users.modify("Anna", UserForm("Anna", "other", tokens=20, pictures=9))
    assert tokens.identify(signed_in.token) is None
    with pytest.raises(Unauthenticated):
        accounts.login("Anna", "pw")

    users.delete("Anna")
    assert ended == [found.id]
    with uow.read() as session:
        assert session.scalar(select(func.count()).select_from(User)) == 0
        assert session.scalar(select(func.count()).select_from(LedgerEntry)) == 0


def test_names_stay_unique_and_guests_stay_out_of_sight(users: Users, accounts: Accounts) -> None:
    accounts.create_guest()
    accounts.register("Ann", PASSWORD)
    users.add(UserForm("Bob", "pw", tokens=0, pictures=0))

    for change in (users.add, lambda form: users.modify("Bob", form)):
        with pytest.raises(Conflict):
            change(UserForm("ANN", "pw", tokens=0, pictures=0))
    with pytest.raises(NotFound):
        users.modify("nobody", UserForm("x", None, tokens=0, pictures=0))
    with pytest.raises(InvalidRequest):
        users.add(UserForm("Carol", "", tokens=0, pictures=0))
    assert users.count() == 2
    assert [user.name for user in users.page(1, 10)] == ["Bob"]


def test_administrators_come_and_go_and_what_they_hold_goes_with_them(
    uow: UnitOfWork, clock: FakeClock, passwords: Passwords
) -> None:
    admins = Admins(
        uow=uow, clock=clock, passwords=passwords, throttle=None, chief_name="root", chief_password=PASSWORD
    )
    chief = admins.login("root", PASSWORD)
    admins.add("helper", PASSWORD)
    helper = admins.login("helper", PASSWORD)

    assert (chief.chief, helper.chief) == (True, False)
    assert admins.still("helper", helper.stamp) == helper
    for name in ("root", "helper"):
        with pytest.raises(Conflict):
            admins.add(name, PASSWORD)
        with pytest.raises(Unauthenticated):
            admins.login(name, "wrong")
    assert ([admin.name for admin in admins.page(0, 5)], admins.count()) == (["root", "helper"], 2)
    assert [admin.name for admin in admins.page(1, 5)] == ["helper"]

    admins.modify("helper", name="aide", password="another password")
    assert admins.still("aide", helper.stamp) is None
    assert admins.still("helper", helper.stamp) is None
    assert admins.login("aide", "another password").name == "aide"
    admins.delete("aide")
    with pytest.raises(Unauthenticated):
        admins.login("aide", "another password")
    with pytest.raises(NotFound):
        admins.delete("root")
