"""Passwords: Argon2id in native threads, so that the hub goes on while one is hashed."""

from __future__ import annotations

import base64
import secrets
import unicodedata
from collections.abc import Callable
from typing import TypeVar

from argon2 import PasswordHasher, Type
from argon2.exceptions import InvalidHashError, VerificationError
from gevent.threadpool import ThreadPool

from services.errors import InvalidRequest, ServerBusy

from .former_passwords import SPARK_MOBILE, WERKZEUG, fits_werkzeug, is_former, spark_mobile_md5

T = TypeVar("T")

MIN_LENGTH, MAX_LENGTH = 8, 256
THREADS = 2
MAX_WAITING = 200
"""Beyond it a sign-in is refused at once: it would be answered after the client's patience."""

# OWASP's first choice for Argon2id (Password Storage Cheat Sheet): 19 MiB, 2 rounds, 1 lane. About 25 ms.
_HASHER = PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1, hash_len=32, salt_len=16, type=Type.ID)


class Passwords:
    """Hashes and checks passwords. Every method that hashes yields."""

    def __init__(self, hasher: PasswordHasher = _HASHER) -> None:
        self._hasher = hasher
        self._threads = ThreadPool(THREADS)
        self._waiting = 0
        self._nobodys = _unmatched(hasher)

    def close(self) -> None:
        self._threads.kill()

    def check_form(self, password: str, *, field: str = "password", shortest: int = MIN_LENGTH) -> str:
        """The password as it is hashed: the same letters whatever the keyboard composes them of.

        Raises:
            InvalidRequest: Too short, too long, or with characters nobody can type.
        """
        if not shortest <= len(password) <= MAX_LENGTH:
            raise InvalidRequest(f"A password has {shortest} to {MAX_LENGTH} characters.", field=field)
        if any(unicodedata.category(char) in ("Cc", "Cs") for char in password):
            raise InvalidRequest("A password cannot hold control characters.", field=field)
        return unicodedata.normalize("NFKC", password)

    def hash(self, password: str) -> str:
        """The hash to store, with its salt and its cost in it."""
        return self._in_thread(self._hasher.hash, password)

    def verify(self, stored: str | None, password: str) -> bool:
        """Whether the password fits; for None, nobody's password, the same work is done and the answer is no.

        Args:
            password: As `check_form` gave it; exactly as it was typed for a `former_passwords` form.
        """
        return self._in_thread(self._verify, stored or self._nobodys, password) and stored is not None

    def is_outdated(self, stored: str) -> bool:
        """Whether a hash was made with other costs than today's, or by a server people moved from."""
        return is_former(stored) or self._hasher.check_needs_rehash(stored)

    def keep_spark_mobile(self, md5: str) -> str:
        """What to store for a user of the old spark-mobile server, whose MD5 this is."""
        return SPARK_MOBILE + self.hash(md5)

    def _verify(self, stored: str, password: str) -> bool:
        try:
            if stored.startswith(WERKZEUG):
                return fits_werkzeug(stored.removeprefix(WERKZEUG), password)
            if stored.startswith(SPARK_MOBILE):
                stored, password = stored.removeprefix(SPARK_MOBILE), spark_mobile_md5(password)
            return self._hasher.verify(stored, password)
        except (VerificationError, InvalidHashError):
            return False

    def _in_thread(self, work: Callable[..., T], *arguments: str) -> T:
        if self._waiting >= MAX_WAITING:
            raise ServerBusy("Too many people are signing in.", retry_after_s=5)
        self._waiting += 1
        try:
            result: T = self._threads.apply(work, arguments)
        finally:
            self._waiting -= 1
        return result


def _unmatched(hasher: PasswordHasher) -> str:
    """A hash that costs as much to check as any and that no password has."""

    def random(size: int) -> str:
        return base64.b64encode(secrets.token_bytes(size)).decode().rstrip("=")

    cost = f"m={hasher.memory_cost},t={hasher.time_cost},p={hasher.parallelism}"
    return f"$argon2id$v=19${cost}${random(hasher.salt_len)}${random(hasher.hash_len)}"
