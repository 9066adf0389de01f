"""User names: what may be one, and when two are the same."""

from __future__ import annotations

import unicodedata

from services.errors import InvalidRequest

MAX_LENGTH = 32
MAX_STORED = 80
"""What the column holds: names of older backends may be longer than new ones."""
MAX_FOLDED = 128  # the column's; a few ligatures fold to many letters
# Controls, halves of pairs, private and unassigned characters, invisible ones, line ends: nobody could tell them apart.
_REFUSED = ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")


def checked_name(written: str, *, longest: int = MAX_LENGTH) -> str:
    """The name as it is shown: composed, trimmed, blanks as one.

    Raises:
        InvalidRequest: Empty, longer than `longest`, or with characters that cannot be seen.
    """
    # Measured first: normalising a megabyte takes its time.
    if len(written) > 4 * longest:
        raise _bad_length(longest)
    if any(unicodedata.category(char) in _REFUSED for char in written.strip()):
        raise InvalidRequest("A user name cannot hold invisible characters.", field="username")
    name = " ".join(unicodedata.normalize("NFC", written).split())
    if not 0 < len(name) <= longest or not 0 < len(fold(name)) <= MAX_FOLDED:
        raise _bad_length(longest)
    return name


def fold(name: str) -> str:
    """What must be unique: two names that differ in case, width or composition are one."""
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())
    return " ".join(folded.split())


def _bad_length(longest: int) -> InvalidRequest:
    return InvalidRequest(f"A user name has 1 to {longest} characters.", field="username")
