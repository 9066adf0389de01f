"""The admin area's bearer tokens: JSON Web Tokens (RFC 7519), HMAC-SHA256 and nothing else. Pure."""

from __future__ import annotations

import base64
import hmac
import json
from dataclasses import dataclass
from typing import Any, Literal

Kind = Literal["access", "refresh"]
LIFE_S: dict[Kind, int] = {"access": 3_600, "refresh": 30 * 86_400}
_HEAD = {"alg": "HS256", "typ": "JWT"}
_LONGEST = 2_048


class Expired(Exception):
    """It was good once."""


class Unreadable(Exception):
    """It is none of ours, or of the wrong kind."""


@dataclass(frozen=True, slots=True)
class Claims:
    """Whom a token was issued to. `stamp`: see `services.administration.admins.Admin`."""

    name: str
    stamp: str


def issue(key: str, kind: Kind, claims: Claims, now_s: float) -> str:
    """A token that is good for `LIFE_S` from now on."""
    issued = int(now_s)
    said = {"sub": claims.name, "stamp": claims.stamp, "type": kind, "iat": issued, "exp": issued + LIFE_S[kind]}
    signed = f"{_encoded(_HEAD)}.{_encoded(said)}"
    return f"{signed}.{_signature(key, signed)}"


def read(key: str, kind: Kind, token: str, now_s: float) -> Claims:
    """Whom a token was issued to.

    Raises:
        Expired: Too old.
        Unreadable: Not signed by this server, another algorithm, the other kind.
    """
    signed, _, signature = token.rpartition(".")
    head, _, body = signed.partition(".")
    if len(token) > _LONGEST or not token.isascii() or not hmac.compare_digest(_signature(key, signed), signature):
        raise Unreadable
    said = _decoded(body)
    if _decoded(head) != _HEAD or said["type"] != kind:
        raise Unreadable
    if said["exp"] <= now_s:
        raise Expired
    return Claims(said["sub"], said["stamp"])


def _signature(key: str, signed: str) -> str:
    # Apart from what else the server's key signs.
    return _base64(hmac.digest(f"spark-mobile admin\n{key}".encode(), signed.encode(), "sha256"))


def _encoded(value: dict[str, Any]) -> str:
    return _base64(json.dumps(value, separators=(",", ":")).encode())


def _decoded(part: str) -> Any:
    return json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")
