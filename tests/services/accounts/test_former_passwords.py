"""Passwords of servers people move from open the account once and are then kept our way."""

from __future__ import annotations

import hashlib

import pytest
from sqlalchemy import select, update

from db.models import User
from db.unit_of_work import UnitOfWork
from services.accounts.accounts import Accounts
from services.accounts.former_passwords import WERKZEUG, is_werkzeug
from services.accounts.passwords import Passwords
from services.errors import Unauthenticated

PASSWORD = "pw1"
SCRYPT = "scrypt:1024:8:1$salt$" + hashlib.scrypt(PASSWORD.encode(), salt=b"salt", n=1024, r=8, p=1).hex()
PBKDF2 = "pbkdf2:sha256:1000$salt$" + hashlib.pbkdf2_hmac("sha256", PASSWORD.encode(), b"salt", 1000).hex()


def stored(uow: UnitOfWork) -> str:
    with uow.read() as session:
        return str(session.scalars(select(User.password_hash)).one())


@pytest.mark.parametrize("form", ["md5", SCRYPT, PBKDF2])
def test_a_former_password_opens_the_account_once_and_is_replaced(
    accounts: Accounts, passwords: Passwords, uow: UnitOfWork, form: str
) -> None:
    """Also one that is shorter than those we take from new users."""
    user = accounts.register("Ann", "a long password").identity
    md5 = hashlib.md5(f"{PASSWORD}#_#".encode()).hexdigest()
    kept = passwords.keep_spark_mobile(md5) if form == "md5" else WERKZEUG + form
    with uow() as session:
        session.execute(update(User).values(password_hash=kept))
    assert md5 not in stored(uow)

    with pytest.raises(Unauthenticated):
        accounts.login("Ann", "wrong")
    assert stored(uow) == kept

    assert accounts.login("ann", PASSWORD).identity.user_id == user.user_id
    assert stored(uow).startswith("$argon2id$")
    assert accounts.login("ann", PASSWORD).identity.user_id == user.user_id


@pytest.mark.parametrize("written", ["", "plain", "sha1$salt$aa", "scrypt:9999999:8:1$salt$aa", "pbkdf2:sha256$s$aa"])
def test_what_cannot_be_checked_is_not_taken_for_a_hash(written: str) -> None:
    assert not is_werkzeug(written)
    assert is_werkzeug(SCRYPT)
