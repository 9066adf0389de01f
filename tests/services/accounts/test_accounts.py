"""Names are unique, passwords hard to guess, and a changed password ends what the old one opened."""

from __future__ import annotations

import gevent
import pytest
from sqlalchemy import func, select

from db.models import BearerToken, BrowserSession, Conversation, Turn, User
from db.unit_of_work import UnitOfWork
from services.accounts.accounts import RESET_LIFE_S, Accounts, SignedIn
from services.accounts.idle_guests import IDLE_MS, forget_idle_guests
from services.accounts.passwords import Passwords
from services.accounts.sessions import Sessions
from services.accounts.tokens import Tokens
from services.errors import (
    ChatError,
    Conflict,
    Forbidden,
    InvalidRequest,
    NotFound,
    RateLimited,
    ServerBusy,
    Unauthenticated,
)
from services.quota.ledger import Ledger, Quota
from services.quota.rate_limit import RateLimit
from tests.clocks import FakeClock

PASSWORD = "correct horse"


def test_whoever_registers_can_sign_in_and_has_something_to_spend(
    accounts: Accounts, tokens: Tokens, uow: UnitOfWork, ledger: Ledger
) -> None:
    registered = accounts.register("  Ann   Lee ", PASSWORD, "ann@example.org")
    signed_in = accounts.login("ann lee", PASSWORD)

    assert registered.identity.to_wire() == signed_in.identity.to_wire()
    assert registered.identity.name == "Ann Lee"
    assert tokens.identify(signed_in.token) == signed_in.identity
    with uow.read() as session:
        assert ledger.balance(session, registered.identity.user_id) == Quota(1000, 3)


def test_no_secret_is_stored(accounts: Accounts, uow: UnitOfWork) -> None:
    token = accounts.register("Ann", PASSWORD).token

    with uow.read() as session:
        stored = [session.scalars(select(User.password_hash)).one(), session.scalars(select(BearerToken.digest)).one()]
    assert str(stored[0]).startswith("$argon2id$")
    assert not any(PASSWORD in str(value) or token in str(value) for value in stored)


@pytest.mark.parametrize("variant", ["ANN", "ａｎｎ", " ann ", "Ａnn"])
def test_one_name_in_other_letters_is_taken(accounts: Accounts, variant: str) -> None:
    accounts.register("Ann", PASSWORD)

    with pytest.raises(Conflict) as refusal:
        accounts.register(variant, PASSWORD)
    assert refusal.value.field == "username"


def test_of_parallel_registrations_exactly_one_succeeds(accounts: Accounts, uow: UnitOfWork) -> None:
    """Case and Unicode variants of one name at once: one account, the others are told what is wrong."""
    outcomes: list[SignedIn | ChatError] = []

    def register(name: str) -> None:
        try:
            outcomes.append(accounts.register(name, PASSWORD))
        except ChatError as error:
            outcomes.append(error)

    variants = ["Zoë", "ZOË", "zoe\u0308", "ｚoë", "Zoë ", "zoë"] * 2
    gevent.joinall([gevent.spawn(register, name) for name in variants], raise_error=True)

    refused = [outcome for outcome in outcomes if isinstance(outcome, Conflict)]
    assert [error.field for error in refused] == ["username"] * (len(variants) - 1)
    with uow.read() as session:
        assert session.scalar(select(func.count()).select_from(User)) == 1


@pytest.mark.parametrize(
    ("username", "password", "email", "field"),
    [
        ("", PASSWORD, None, "username"),
        ("   ", PASSWORD, None, "username"),
        ("x" * 33, PASSWORD, None, "username"),
        ("x" * 1_000_000, PASSWORD, None, "username"),
        ("\ufdfa" * 32, PASSWORD, None, "username"),
        ("a\nb", PASSWORD, None, "username"),
        ("a\u200bb", PASSWORD, None, "username"),
        ("a\u202eb", PASSWORD, None, "username"),
        ("a\ud800", PASSWORD, None, "username"),
        ("Ann", "short", None, "password"),
        ("Ann", "x" * 257, None, "password"),
        ("Ann", "eight\0letters", None, "password"),
        ("Ann", "eight\ud800letters", None, "password"),
        ("Ann", PASSWORD, "not an address", "email"),
        ("Ann", PASSWORD, "a@" + "x" * 300, "email"),
    ],
)
def test_what_cannot_be_is_refused_by_name(
    accounts: Accounts, username: str, password: str, email: str | None, field: str
) -> None:
    with pytest.raises(InvalidRequest) as refusal:
        accounts.register(username, password, email)
    assert refusal.value.field == field


def test_a_guest_who_registers_stays_the_same_user(
    accounts: Accounts, tokens: Tokens, uow: UnitOfWork, ledger: Ledger
) -> None:
    """It keeps its id and what it has left; its old token goes on, under the new name."""
    guest = accounts.create_guest()
    assert tokens.identify(guest.token) == guest.identity
    with uow() as session:
        ledger.grant(session, user_id=guest.identity.user_id, kind="tokens", amount=7, now_ms=0, note="coupon")

    registered = accounts.register("Ann", PASSWORD, guest=guest.identity)

    assert registered.identity.user_id == guest.identity.user_id
    recognised = tokens.identify(guest.token)
    assert recognised is not None
    assert recognised.to_wire() == {"id": guest.identity.user_id, "name": "Ann", "guest": False}
    with uow.read() as session:
        assert ledger.balance(session, guest.identity.user_id).tokens == 1007


def test_only_guests_who_left_nothing_are_forgotten(
    accounts: Accounts, tokens: Tokens, uow: UnitOfWork, clock: FakeClock
) -> None:
    """Not one who wrote, was charged, registered, or came back this week."""
    idle, wrote, paid, registered, back = (accounts.create_guest() for _ in range(5))
    accounts.register("Ann", PASSWORD, guest=registered.identity)
    with uow() as session:
        session.add(
            Conversation(id="c", user_id=wrote.identity.user_id, title="", version=1, created_ms=0, updated_ms=0)
        )
        session.add(
            Turn(
                id="t",
                user_id=paid.identity.user_id,
                conversation_id="gone",
                message_id="gone",
                model="m",
                created_ms=0,
            )
        )
    clock.advance(IDLE_MS / 1000 - 1)
    assert forget_idle_guests(uow, clock.now_ms()) == 0
    tokens.identify(back.token)
    clock.advance(2)

    assert forget_idle_guests(uow, clock.now_ms()) == 1

    assert tokens.identify(idle.token) is None
    assert all(tokens.identify(guest.token) for guest in (wrote, paid, registered, back))


def test_accounts_are_not_made_without_end(
    uow: UnitOfWork, clock: FakeClock, passwords: Passwords, tokens: Tokens, sessions: Sessions, ledger: Ledger
) -> None:
    """A script at one address is slowed; another address is not."""
    limit = RateLimit(clock, per_minute=1, burst=2)
    accounts = Accounts(
        uow=uow,
        clock=clock,
        passwords=passwords,
        tokens=tokens,
        sessions=sessions,
        open_account=ledger.open_account,
        throttle=None,
        registrations=limit.take,
    )
    for name in ("one", "two"):
        accounts.register(name, PASSWORD, address="192.0.2.1")
    with pytest.raises(RateLimited) as refusal:
        accounts.register("three", PASSWORD, address="192.0.2.1")
    assert refusal.value.retry_after_s == 60
    accounts.register("three", PASSWORD, address="192.0.2.2")


def test_a_guest_registers_once(accounts: Accounts) -> None:
    guest = accounts.create_guest().identity
    accounts.register("Ann", PASSWORD, guest=guest)

    with pytest.raises(Conflict):
        accounts.register("Bob", PASSWORD, guest=guest)
    assert accounts.register("Bob", PASSWORD).identity.user_id != guest.user_id


def test_unknown_user_and_wrong_password_look_the_same(
    accounts: Accounts, passwords: Passwords, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same words, and a hash is computed for both."""
    accounts.register("Ann", PASSWORD)
    hashed: list[str] = []
    verify = passwords._verify

    def watched(stored: str, password: str) -> bool:
        hashed.append(stored)
        return verify(stored, password)

    monkeypatch.setattr(passwords, "_verify", watched)

    refusals = []
    for name in ("Ann", "Nobody"):
        with pytest.raises(Unauthenticated) as refusal:
            accounts.login(name, "wrong horse")
        refusals.append(refusal.value.to_wire())

    assert refusals[0] == refusals[1]
    costs = [stored.split("$")[3] for stored in hashed]
    assert costs == ["m=8,t=1,p=1"] * 2


def test_guessing_is_slowed_and_the_owner_let_in_again(accounts: Accounts, clock: FakeClock) -> None:
    """A thousand guesses in a row get a handful of tries; a minute later the right password works."""
    accounts.register("Ann", PASSWORD)
    tried, waits = 0, set()
    for number in range(1000):
        try:
            accounts.login("Ann", f"wrong horse {number}", address=f"192.0.2.{number % 250}")
        except Unauthenticated:
            tried += 1
        except RateLimited as refusal:
            waits.add(refusal.retry_after_s or 0)
    assert tried < 10
    assert all(0 < wait <= 60 for wait in waits)

    clock.advance(60)
    accounts.login("Ann", PASSWORD, address="198.51.100.1")


def test_guesses_at_once_count_as_guesses_in_a_row(accounts: Accounts) -> None:
    accounts.register("Ann", PASSWORD)
    tried = []

    def guess(number: int) -> None:
        try:
            accounts.login("Ann", "wrong horse", address=f"192.0.2.{number}")
        except Unauthenticated:
            tried.append(number)
        except RateLimited:
            pass

    gevent.joinall([gevent.spawn(guess, number) for number in range(50)], raise_error=True)
    assert len(tried) < 10


def test_one_password_for_a_thousand_users_is_slowed_by_address(accounts: Accounts) -> None:
    refused = 0
    for number in range(200):
        try:
            accounts.login(f"user {number}", PASSWORD, address="192.0.2.1")
        except Unauthenticated:
            pass
        except RateLimited:
            refused += 1
    assert refused > 150


def test_an_address_the_owner_has_used_is_not_shut_out(accounts: Accounts) -> None:
    """A stranger's guessing does not keep the owner out of the account at the usual place."""
    accounts.register("Ann", PASSWORD)
    accounts.login("Ann", PASSWORD, address="198.51.100.1")
    with pytest.raises(RateLimited):
        for _ in range(100):
            try:
                accounts.login("Ann", "wrong horse", address="192.0.2.1")
            except Unauthenticated:
                continue

    accounts.login("Ann", PASSWORD, address="198.51.100.1")


def test_a_changed_password_ends_everything_but_the_one_who_changed_it(
    accounts: Accounts, tokens: Tokens, sessions: Sessions
) -> None:
    first = accounts.register("Ann", PASSWORD)
    second = accounts.login("Ann", PASSWORD)
    cookie = sessions.start(first.identity.user_id)
    browser = sessions.identify(cookie)
    assert browser is not None
    assert tokens.identify(second.token) is not None

    with pytest.raises(Forbidden):
        accounts.change_password(first.identity, "wrong horse", "battery staple")
    accounts.change_password(first.identity, PASSWORD, "battery staple")

    assert tokens.identify(first.token) == first.identity
    assert tokens.identify(second.token) is None
    assert sessions.identify(cookie) is None
    assert tokens.still_valid([first.identity, second.identity]) == {first.identity}
    assert sessions.still_valid([browser]) == set()
    with pytest.raises(Unauthenticated):
        accounts.login("Ann", PASSWORD)
    accounts.login("Ann", "battery staple")


def test_a_guest_has_no_password_to_change(accounts: Accounts) -> None:
    with pytest.raises(Forbidden):
        accounts.change_password(accounts.create_guest().identity, PASSWORD, "battery staple")


def test_a_reset_ticket_works_once(accounts: Accounts, tokens: Tokens) -> None:
    signed_in = accounts.register("Ann", PASSWORD)
    ticket = accounts.issue_reset("ann")

    accounts.reset(ticket, "battery staple")

    assert tokens.identify(signed_in.token) is None
    accounts.login("Ann", "battery staple")
    for _ in range(2):
        with pytest.raises(InvalidRequest) as refusal:
            accounts.reset(ticket, "another one")
        assert refusal.value.field == "ticket"


def test_a_ticket_used_twice_at_once_works_once(accounts: Accounts) -> None:
    accounts.register("Ann", PASSWORD)
    ticket = accounts.issue_reset("Ann")
    done, refused = [], []

    def reset(password: str) -> None:
        try:
            accounts.reset(ticket, password)
            done.append(password)
        except InvalidRequest:
            refused.append(password)

    gevent.joinall([gevent.spawn(reset, f"battery {number}") for number in range(4)], raise_error=True)

    assert (len(done), len(refused)) == (1, 3)
    accounts.login("Ann", done[0])


def test_a_ticket_expires_and_an_earlier_one_ends(accounts: Accounts, clock: FakeClock) -> None:
    accounts.register("Ann", PASSWORD)
    earlier, later = accounts.issue_reset("Ann"), accounts.issue_reset("Ann")
    with pytest.raises(InvalidRequest):
        accounts.reset(earlier, "battery staple")
    clock.advance(RESET_LIFE_S)
    for ticket in (later, "", "x" * 10_000, "\ud800"):
        with pytest.raises(InvalidRequest):
            accounts.reset(ticket, "battery staple")
    with pytest.raises(NotFound):
        accounts.issue_reset("Nobody")


def test_hashing_lets_others_run_and_waits_in_a_bounded_line(
    accounts: Accounts, passwords: Passwords, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sign-ins beyond the line are refused at once; other greenlets go on while passwords are hashed."""
    monkeypatch.setattr("services.accounts.passwords.MAX_WAITING", 3)
    greenlets = [gevent.spawn(passwords.hash, PASSWORD) for _ in range(5)]
    gevent.sleep(0)
    busy = [greenlet for greenlet in greenlets if greenlet.ready() and isinstance(greenlet.exception, ServerBusy)]

    assert len(busy) == 2
    gevent.joinall(greenlets)
    assert sum(greenlet.successful() for greenlet in greenlets) == 3


def test_a_password_hashed_at_another_cost_is_hashed_anew(accounts: Accounts, uow: UnitOfWork) -> None:
    accounts.register("Ann", PASSWORD)
    with uow() as session:
        before = session.scalars(select(User)).one()
        before.password_hash = Passwords().hash(PASSWORD)

    accounts.login("Ann", PASSWORD)

    with uow.read() as session:
        assert "m=8,t=1,p=1" in str(session.scalars(select(User.password_hash)).one())
        assert session.scalar(select(func.count()).select_from(BrowserSession)) == 0
