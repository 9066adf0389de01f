"""The signed address a Spark client connects to, checked before anything else. Pure, but for what was used before."""

from __future__ import annotations

import base64
import binascii
import hmac
import re
from dataclasses import dataclass
from urllib.parse import parse_qs

from services.accounts.first_come import FirstCome
from services.clock import Clock
from services.wire.iflytek_signature import MAX_SKEW_S, sign, skew_s

REMEMBERED_S = 2.0 * MAX_SKEW_S
_PAIR = re.compile(r'([\w-]+)="([^"]*)"')
_UNVERIFIED = "HMAC signature cannot be verified"
_BAD_DATE = f"{_UNVERIFIED}, a valid date or x-date header is required for HMAC Authentication"


class HandshakeRefused(Exception):
    """An answer in place of 101, in the vendor's words: clients look for them."""

    def __init__(self, status: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


def unauthorized(message: str = "Unauthorized") -> HandshakeRefused:
    return HandshakeRefused("401 Unauthorized", message)


@dataclass(frozen=True, slots=True)
class SignedAddress:
    """What an address says: who signed it, when and for which host. Nothing is believed yet."""

    api_key: str
    host: str
    date: str
    signature: str

    @classmethod
    def read(cls, query: str) -> SignedAddress:
        """From the query of an address.

        Raises:
            HandshakeRefused: There is no authorization, or none that can be read.
        """
        try:
            given = {name: values[0] for name, values in parse_qs(query, max_num_fields=16).items()}
        except ValueError:
            raise unauthorized() from None
        if "authorization" not in given:
            raise unauthorized()
        try:
            said = base64.b64decode(given["authorization"], validate=True).decode()
        except (binascii.Error, ValueError):
            raise unauthorized(_UNVERIFIED) from None
        pairs = dict(_PAIR.findall(said))  # clients differ in the blanks between them
        if pairs.get("algorithm") != "hmac-sha256" or pairs.get("headers") != "host date request-line":
            raise unauthorized(_UNVERIFIED)
        return cls(pairs.get("api_key", ""), given.get("host", ""), given.get("date", ""), pairs.get("signature", ""))

    def check_date(self, clock: Clock) -> None:
        """Raise `HandshakeRefused` when the two clocks are further apart than the vendor lets them be."""
        skew = skew_s(self.date, clock) if self.date.endswith(" GMT") else None
        if skew is None or abs(skew) > MAX_SKEW_S:
            raise HandshakeRefused("403 Forbidden", _BAD_DATE)

    def check_signature(self, secret: str, *, path: str, host: str) -> None:
        """Raise `HandshakeRefused` unless it is signed with `secret`, for this path and under this `Host`.

        Some clients sign the host with its port, some without.
        """
        expected = sign(secret, host=self.host, date=self.date, request_line=f"GET {path} HTTP/1.1")
        is_signed = hmac.compare_digest(expected.encode(), self.signature.encode("utf-8", "replace"))
        if not is_signed or self.host.lower() not in (host.lower(), _without_port(host.lower())):
            raise unauthorized("HMAC signature does not match")


def unknown_key() -> HandshakeRefused:
    return unauthorized(f"{_UNVERIFIED}: apikey not found")


class Repeats:
    """Which peer used a signature first, as long as it is good: nobody else may.

    The same peer may use one again. A date counts whole seconds, so an app that asks twice in a second signs the same
    address twice, and clients that reconnect take the one they have; but whoever finds it in a log comes from
    elsewhere.
    """

    def __init__(self, first: FirstCome) -> None:
        """`first` must remember for `REMEMBERED_S`."""
        self._first = first

    def check(self, signature: str, peer: str) -> None:
        """Raise `HandshakeRefused` for another peer than the first."""
        if not self._first.is_first(signature, peer):
            raise unauthorized("HMAC signature does not match")


def _without_port(host: str) -> str:
    name, colon, port = host.rpartition(":")
    return name if colon and port.isdigit() else host
