"""What a vendor's number or code means to the speaker and to the owner of this server."""

from __future__ import annotations

from dataclasses import dataclass

from services.errors import VendorError


@dataclass(frozen=True, slots=True)
class Meaning:
    """One row of a recogniser's table.

    Attributes:
        told: What a user reads.
        english, chinese: What is wrong, and what the owner can do about it.
    """

    kind: type[VendorError]
    told: str
    english: str
    chinese: str

    def error(self) -> VendorError:
        return self.kind(self.told, advice=(self.english, self.chinese))
