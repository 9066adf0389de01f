"""Who asks, and by which credential."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal


@dataclass(frozen=True, slots=True)
class Identity:
    """A user as the edges know them. It comes from a credential only, never from a field of a request.

    Attributes:
        user_id: Stable id of the user or guest.
        name: What the page shows.
        guest: True for someone without a registered name.
        credential: What proved it: a bearer token, the page's session cookie.
        credential_id: Row id of that credential, so that its revocation can be noticed; never the secret.
    """

    user_id: str
    name: str
    guest: bool
    credential: Literal["token", "session"]
    credential_id: str

    def to_wire(self) -> dict[str, Any]:
        return {"id": self.user_id, "name": self.name, "guest": self.guest}
