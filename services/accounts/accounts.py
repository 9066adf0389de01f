"""Accounts: who becomes a user, and how one proves to be it again."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from sqlalchemy import delete, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from db.models import PasswordReset, User
from db.unit_of_work import UnitOfWork
from services.clock import Clock
from services.errors import Conflict, Forbidden, InvalidRequest, NotFound, RateLimited, Unauthenticated
from services.identity import Identity
from services.ids import digest, new_id, new_secret

from .credentials import is_plausible
from .former_passwords import is_former
from .names import MAX_LENGTH, MAX_STORED, checked_name, fold
from .passwords import MIN_LENGTH, Passwords
from .sessions import Sessions
from .throttle import LoginThrottle
from .tokens import DAY_S, Origin, Tokens

SIGN_IN_LIFE_S = 30 * DAY_S
GUEST_LIFE_S = 365 * DAY_S
RESET_LIFE_S = 3600
_MAX_EMAIL = 254

OpenAccount = Callable[[Session, str, int], None]
"""Gives a new user, in the caller's transaction, something to spend: `Ledger.open_account`."""


class SignedIn(NamedTuple):
    """Who it is now, and the bearer token that proves it; a cookie is `Sessions.start`'s to give."""

    identity: Identity
    token: str


class Accounts:
    """Registers people, signs them in, keeps their passwords."""

    def __init__(
        self,
        *,
        uow: UnitOfWork,
        clock: Clock,
        passwords: Passwords,
        tokens: Tokens,
        sessions: Sessions,
        open_account: OpenAccount,
        throttle: LoginThrottle | None,
        registrations: Callable[[str], float] | None = None,
    ) -> None:
        """Both limits are None where rate limits are off.

        Args:
            registrations: Asked with the address of whoever registers, for the seconds to wait; 0 lets in. Without
                it a script could make account after account, each with what everybody starts with.
        """
        self._uow = uow
        self._clock = clock
        self.passwords = passwords
        self._tokens = tokens
        self._sessions = sessions
        self._open_account = open_account
        self._throttle = throttle
        self._registrations = registrations

    def register(
        self,
        username: str,
        password: str,
        email: str | None = None,
        *,
        guest: Identity | None = None,
        address: str = "",
        longest_name: int = MAX_LENGTH,
        shortest_password: int = MIN_LENGTH,
    ) -> SignedIn:
        """A new user; of parallel registrations of one name exactly one succeeds.

        Args:
            guest: The guest who asks; it becomes this user and keeps its conversations and what it has left. An
                identity that is no guest's is ignored.
            address: Where the request comes from; empty when unknown.
            longest_name: At most `names.MAX_STORED`, for an edge whose clients know other rules.

        Raises:
            InvalidRequest: Names `username`, `password` or `email`.
            Conflict: The name is taken (`field` is `username`).
            RateLimited: Too many accounts from this address.
        """
        name = checked_name(username, longest=longest_name)
        email = checked_email(email)
        password = self.passwords.check_form(password, shortest=shortest_password)
        if self._registrations is not None and (wait_s := self._registrations(address)) > 0:
            raise RateLimited("Too many new accounts from this address.", retry_after_s=round(wait_s, 1))
        with self._uow.read() as session:
            if session.scalar(select(User.id).where(User.name_folded == fold(name))) is not None:
                raise _taken()
        hashed = self.passwords.hash(password)
        converted = guest.user_id if guest is not None and guest.guest else None

        def work(session: Session) -> SignedIn:
            values = {
                "name": name, "name_folded": fold(name), "email": email, "password_hash": hashed, "guest": False,
            }  # fmt: skip
            if converted is None:
                user_id = self._add_user(session, **values)
            else:
                user_id = converted
                row = session.scalar(select(User).where(User.id == user_id, User.guest).with_for_update())
                if row is None:
                    raise Conflict("This guest has a name already; sign in with it.", field="username")
                for field, value in values.items():
                    setattr(row, field, value)
                session.flush()
            return self._sign_in(session, user_id, name, guest=False)

        try:
            signed_in = self._uow.run(work)
        except IntegrityError as error:
            raise _taken() from error
        self._forget(signed_in.identity.user_id)
        return signed_in

    def login(self, username: str, password: str, *, address: str = "") -> SignedIn:
        """Sign in by name. An unknown name and a wrong password cost the same time and get the same answer.

        Args:
            address: Where the request comes from, for slowing down who guesses; empty when unknown.

        Raises:
            Unauthenticated: The two do not fit.
            RateLimited: Too many failures.
        """
        typed, password = password, self.passwords.check_form(password, shortest=1)
        folded = fold(checked_name(username, longest=MAX_STORED))
        if self._throttle is not None:
            self._throttle.begin(folded, address)
        with self._uow.read() as session:
            user = session.scalar(select(User).where(User.name_folded == folded))
        stored = user.password_hash if user is not None else None
        fits = self.passwords.verify(stored, typed if stored is not None and is_former(stored) else password)
        if not fits or user is None or stored is None:
            raise Unauthenticated("The user name and the password do not fit together.")
        if self._throttle is not None:
            self._throttle.succeed(folded, address)
        renewed = self.passwords.hash(password) if self.passwords.is_outdated(stored) else stored

        def work(session: Session) -> SignedIn | None:
            # The password may have been changed while this one was checked.
            same = session.scalar(
                select(User.id).where(User.id == user.id, User.password_hash == stored).with_for_update()
            )
            if same is None:
                return None
            if renewed != stored:
                session.execute(update(User).where(User.id == user.id).values(password_hash=renewed))
            return self._sign_in(session, user.id, user.name, guest=False)

        signed_in = self._uow.run(work)
        if signed_in is None:
            raise Unauthenticated("The user name and the password do not fit together.")
        return signed_in

    def create_guest(self) -> SignedIn:
        """A user without a name, whose token is the only way back."""

        def work(session: Session) -> SignedIn:
            name = f"Guest {new_id('g')[-4:].upper()}"
            user_id = self._add_user(session, name=name, name_folded=None, email=None, password_hash=None, guest=True)
            return self._sign_in(session, user_id, name, guest=True)

        return self._uow.run(work)

    def change_password(self, identity: Identity, old: str, new: str) -> None:
        """Change it; every token and session ends but the one that asks.

        Raises:
            Forbidden: The old password is wrong, or a guest asks.
            InvalidRequest: Names `old` or `new`.
            RateLimited: Too many failures.
        """
        old = self.passwords.check_form(old, field="old", shortest=1)
        new = self.passwords.check_form(new, field="new")
        with self._uow.read() as session:
            user = session.get(User, identity.user_id)
        if user is None or user.password_hash is None or user.name_folded is None:
            raise Forbidden("A guest has no password.")
        if self._throttle is not None:
            self._throttle.begin(user.name_folded, "")
        if not self.passwords.verify(user.password_hash, old):
            raise Forbidden("The old password is wrong.", field="old")
        if self._throttle is not None:
            self._throttle.succeed(user.name_folded, "")
        self._set_password(user.id, self.passwords.hash(new), former=user.password_hash, but=identity.credential_id)

    def issue_reset(self, username: str, *, life_s: int = RESET_LIFE_S) -> str:
        """A ticket to set a new password without the old one: once, within `life_s`. It ends earlier tickets.

        Raises:
            NotFound: No user has this name.
        """
        folded = fold(checked_name(username, longest=MAX_STORED))
        ticket = new_secret()

        def work(session: Session) -> None:
            user_id = session.scalar(select(User.id).where(User.name_folded == folded))
            if user_id is None:
                raise NotFound("There is no user of this name.")
            session.execute(delete(PasswordReset).where(PasswordReset.user_id == user_id))
            expires_ms = self._clock.now_ms() + life_s * 1000
            session.add(PasswordReset(id=new_id("r"), user_id=user_id, digest=digest(ticket), expires_ms=expires_ms))

        self._uow.run(work)
        return ticket

    def reset(self, ticket: str, password: str, *, end_sessions: bool = True) -> int:
        """Set a new password by a ticket; every token and session of the user ends.

        Args:
            end_sessions: False leaves browser sessions as they are.

        Returns:
            How many browser sessions that were.

        Raises:
            InvalidRequest: Names `password`, or `ticket` when it is wrong, used or expired.
        """
        password = self.passwords.check_form(password)
        refused = InvalidRequest("This ticket is wrong, used or too old.", field="ticket")
        if not is_plausible(ticket):
            raise refused
        good = (PasswordReset.digest == digest(ticket), PasswordReset.expires_ms > self._clock.now_ms())
        with self._uow.read() as session:
            user_id = session.scalar(select(PasswordReset.user_id).where(*good))
        if user_id is None:
            raise refused
        hashed = self.passwords.hash(password)
        ended = self._set_password(user_id, hashed, ticket=digest(ticket), end_sessions=end_sessions)
        if ended is None:
            raise refused
        return ended

    def _set_password(
        self,
        user_id: str,
        hashed: str,
        *,
        former: str | None = None,
        ticket: str | None = None,
        but: str | None = None,
        end_sessions: bool = True,
    ) -> int | None:
        """Browser sessions ended; None when `former` is no longer the hash, or the ticket is gone."""

        def work(session: Session) -> int | None:
            user = session.scalar(select(User).where(User.id == user_id).with_for_update())
            if user is None or (former is not None and user.password_hash != former):
                return None
            if (
                ticket is not None
                and session.scalar(select(PasswordReset.id).where(PasswordReset.digest == ticket)) is None
            ):
                return None
            user.password_hash = hashed
            session.execute(delete(PasswordReset).where(PasswordReset.user_id == user_id))
            self._tokens.end_all(session, user_id, but=but)
            return self._sessions.end_all(session, user_id, but=but) if end_sessions else 0

        done = self._uow.run(work)
        self._forget(user_id)
        return done

    def _add_user(self, session: Session, **values: object) -> str:
        now_ms = self._clock.now_ms()
        user = User(id=new_id("u"), created_ms=now_ms, **values)
        session.add(user)
        session.flush()
        self._open_account(session, user.id, now_ms)
        return user.id

    def _sign_in(self, session: Session, user_id: str, name: str, *, guest: bool) -> SignedIn:
        origin: Origin = "guest" if guest else "sign_in"
        life_s = GUEST_LIFE_S if guest else SIGN_IN_LIFE_S
        label = "Guest" if guest else "Sign-in"
        issued = self._tokens.add(session, user_id, name=label, origin=origin, life_s=life_s)
        return SignedIn(Identity(user_id, name, guest, "token", issued.record.id), issued.secret)

    def _forget(self, user_id: str) -> None:
        self._tokens.forget(user_id=user_id)
        self._sessions.forget(user_id=user_id)


def checked_email(written: str | None) -> str | None:
    """The address, trimmed; None for none. It is only kept, so it is only looked at roughly.

    Raises:
        InvalidRequest: It cannot be one.
    """
    email = (written or "").strip()
    if not email:
        return None
    name, at, host = email.rpartition("@")
    if len(email) > _MAX_EMAIL or not (name and at and host) or not email.isprintable() or " " in email:
        raise InvalidRequest("This is not an e-mail address.", field="email")
    return email


def _taken() -> Conflict:
    return Conflict("This user name is taken.", field="username")
