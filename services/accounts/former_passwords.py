"""Passwords as the servers people move from kept them: good for one sign-in, which replaces them by ours."""

from __future__ import annotations

import hashlib
from hmac import compare_digest

SPARK_MOBILE = "spark-md5$"
"""Followed by the Argon2 hash of that server's MD5: the MD5 itself, which is guessed in no time, is never stored."""
WERKZEUG = "werkzeug$"
"""Followed by what Werkzeug's `generate_password_hash` had made: `method$salt$hex`."""

_MOST_SCRYPT_BYTES = 256 * 2**20
_MOST_ROUNDS = 5_000_000


def is_former(stored: str) -> bool:
    """Whether a stored password is one of these forms."""
    return stored.startswith((SPARK_MOBILE, WERKZEUG))


def spark_mobile_md5(password: str) -> str:
    """How the old spark-mobile server kept it. Source: docs/compat/spark-mobile.md."""
    return hashlib.md5(f"{password.strip()}#_#".encode(), usedforsecurity=False).hexdigest()


def is_spark_mobile_md5(written: str) -> bool:
    """Whether this can be such a hash at all."""
    return len(written) == 32 and all(char in "0123456789abcdef" for char in written)


def is_werkzeug(written: str) -> bool:
    """Whether this is a hash that can be checked here: the two methods Werkzeug 2 and 3 make."""
    try:
        return _werkzeug_hash(written, "") is not None
    except ValueError:
        return False


def fits_werkzeug(written: str, password: str) -> bool:
    """Whether the password has this hash. Costs what Werkzeug made it cost; never for the hub's thread."""
    return compare_digest(_werkzeug_hash(written, password).hex(), written.rpartition("$")[2])


def _werkzeug_hash(written: str, password: str) -> bytes:
    """The hash of `password` by the method and salt of `written`.

    Raises:
        ValueError: Another method, or costs beyond reason.
    """
    method, _, rest = written.partition("$")
    salt, dollar, expected = rest.partition("$")
    name, *costs = method.split(":")
    if not dollar or not expected:
        raise ValueError("not a hash of Werkzeug's")
    if name == "scrypt" and len(costs) == 3:
        n, r, p = map(int, costs)
        needed = 132 * n * r * p
        if needed > _MOST_SCRYPT_BYTES:
            raise ValueError("scrypt with costs beyond reason")
        return hashlib.scrypt(password.encode(), salt=salt.encode(), n=n, r=r, p=p, maxmem=needed)
    if name == "pbkdf2" and len(costs) in (1, 2):
        rounds = int(costs[1]) if len(costs) == 2 else 0
        if not 0 < rounds <= _MOST_ROUNDS:
            raise ValueError("PBKDF2 with costs beyond reason")
        return hashlib.pbkdf2_hmac(costs[0], password.encode(), salt.encode(), rounds)
    raise ValueError("a method that is not known here")
