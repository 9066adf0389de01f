"""Ids that sort by time and cannot be guessed, and secrets that are only ever stored hashed."""

from __future__ import annotations

import hashlib
import secrets
import time

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford's base 32: no i, l, o, u


def new_id(prefix: str) -> str:
    """`<prefix>_` + 9 letters of milliseconds + 20 random ones (100 bits); 31 letters for a prefix of one."""
    return f"{prefix}_{_base32(time.time_ns() // 1_000_000, 9)}{_base32(secrets.randbits(100), 20)}"


def new_secret() -> str:
    """256 random bits, URL-safe."""
    return secrets.token_urlsafe(32)


def digest(secret: str) -> str:
    """How a secret is stored: SHA-256 in hex. Enough for random secrets; passwords use Argon2."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def _base32(number: int, letters: int) -> str:
    return "".join(_ALPHABET[(number >> shift) & 31] for shift in range(5 * (letters - 1), -1, -5))
