"""A standing token is the same at every sign-in until the password is another one."""

from __future__ import annotations

from db.unit_of_work import UnitOfWork
from services.accounts.accounts import Accounts
from services.accounts.standing import LIFE_S, StandingTokens
from services.accounts.tokens import Tokens
from tests.clocks import FakeClock


def test_a_standing_token_stays_until_the_password_changes(
    accounts: Accounts, tokens: Tokens, uow: UnitOfWork, clock: FakeClock
) -> None:
    standing = StandingTokens(uow, clock, key=lambda: "key", purpose="spark-mobile")
    ann = accounts.register("Ann", "a long password").identity
    bob = accounts.register("Bob", "a long password").identity

    first = standing.of(ann.user_id)

    assert len(first) == 32 and first != standing.of(bob.user_id)
    assert standing.of(ann.user_id) == first
    found = tokens.identify(first)
    assert found is not None and found.user_id == ann.user_id
    clock.advance(LIFE_S + 1)
    tokens.forget(user_id=ann.user_id)
    assert tokens.identify(first) is None
    assert standing.of(ann.user_id) == first
    assert tokens.identify(first) is not None

    accounts.change_password(ann, "a long password", "another password")

    assert tokens.identify(first) is None
    assert standing.of(ann.user_id) != first


def test_another_key_gives_another_token(accounts: Accounts, uow: UnitOfWork, clock: FakeClock) -> None:
    ann = accounts.register("Ann", "a long password").identity

    given = {StandingTokens(uow, clock, key=lambda key=key: key, purpose=purpose).of(ann.user_id)  # type: ignore[misc]
             for key in ("a", "b") for purpose in ("x", "y")}  # fmt: skip

    assert len(given) == 4
