"""What a vendor's refusal means for us: from status and code to one of our errors."""

from __future__ import annotations

import logging
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import Any

import orjson

from services.clock import Clock, SystemClock
from services.errors import VendorError
from services.providers.advice import Advice
from services.providers.general_codes import row

log = logging.getLogger(__name__)

LOGGED_BYTES = 500
LONGEST_RETRY_AFTER_S = 3_600.0

_BUSY = frozenset({408, 409, 425, 429})
_BLOCKED = frozenset({"contentpolicyviolation", "contentfilter", "datainspectionfailed", "moderationblocked"})
_REFUSED_CODES = frozenset(
    {
        "invalidapikey",
        "authenticationerror",
        "badrequesterror",
        "contextlengthexceeded",
        "invalidrequesterror",
        "invalidparameter",
        "modelnotfound",
        "notfounderror",
        "permissiondenied",
    }
)
_TOO_LONG = frozenset({"contextlengthexceeded"})
_BY_STATUS = {401: "key", 402: "account", 403: "access", 404: "model", 429: "account"}
_SECRET = re.compile(r"(?i)\b(bearer\s+|sk-|key-)[\w.*=-]{4,}")


@dataclass(frozen=True, slots=True)
class FaultMap:
    """One vendor's words for its refusals.

    Attributes:
        vendor: Its name, for the log.
        secrets: What must not be logged.
        final: Codes, folded, that mean no although the status says "later".
        final_words: Parts of a message that mean no although the code says "later".
    """

    vendor: str
    secrets: tuple[str, ...] = field(default=(), repr=False)
    final: frozenset[str] = frozenset({"insufficientquota"})
    final_words: tuple[str, ...] = ()
    clock: Clock = field(default_factory=SystemClock, repr=False)

    def of_response(self, status: int, headers: Mapping[str, str], body: bytes) -> VendorError:
        """The error an HTTP answer other than 200 means."""
        code, kind, message = _details(body)
        request_id = headers.get("x-request-id", "")
        log.warning(
            "%s answered %d code=%.80s request=%.80s body=%s", self.vendor, status, code, request_id, self.masked(body)
        )
        return self._error(status, (code, kind), message, retry_after_s(headers, self.clock))

    def of_frame(self, frame: dict[str, Any]) -> VendorError:
        """The error told inside a stream, where the status has long been 200."""
        body = orjson.dumps(frame)
        code, kind, message = _details(body)
        log.warning("%s broke a stream code=%.80s body=%s", self.vendor, code, self.masked(body))
        if code.isdecimal() and len(code) == 3:
            status = int(code)
        else:
            status = 400 if {_folded(code), _folded(kind)} & _REFUSED_CODES else 500
        return self._error(status, (code, kind), message, None)

    def masked(self, body: bytes) -> str:
        """The beginning of a vendor's words for the log, without line ends and secrets."""
        text = body.decode("utf-8", "replace")
        for secret in self.secrets:
            text = text.replace(secret, "***")
        return " ".join(_SECRET.sub(r"\1***", text).split())[:LOGGED_BYTES]

    def _error(
        self, status: int, codes: tuple[str, str], message: str, retry_after: float | None
    ) -> VendorError:
        # A code may carry a detail after its first dot or its vendor's path before the last.
        words = {_folded(part) for code in codes for part in (code, code.split(".")[0], code.rsplit(".")[-1])}
        is_final = bool(words & self.final) or any(part in message for part in self.final_words)
        if words & _BLOCKED:
            name = "blocked"
        elif not is_final and (status in _BUSY or status >= 500):
            name = "limit" if status == 429 else "busy"
        elif words & _TOO_LONG:
            name = "long"
        else:
            name = _BY_STATUS.get(status, "request")
        return self.refusal(row(name, self.vendor), retry_after)

    def refusal(self, advice: Advice, retry_after_s: float | None = None) -> VendorError:
        """The error of a row; the owner's sentence goes to the log too."""
        log.warning("%s: %s", self.vendor, advice.english)
        return advice.error(retry_after_s)

    def of_page(self, body: bytes) -> VendorError:
        """The error a web page means that came in place of an answer."""
        log.warning("%s sent a page body=%s", self.vendor, self.masked(body))
        return self.refusal(row("page", self.vendor))


def retry_after_s(headers: Mapping[str, str], clock: Clock) -> float | None:
    """How long a vendor asks to wait: `Retry-After-Ms`, or `Retry-After` in seconds or as a date."""
    for name, unit in (("retry-after-ms", 1000.0), ("retry-after", 1.0)):
        value = headers.get(name, "")
        try:
            wait = float(value) / unit
        except ValueError:
            try:
                wait = parsedate_to_datetime(value).timestamp() - clock.now_ms() / 1000
            except (ValueError, TypeError, OverflowError):
                continue
        if math.isfinite(wait):
            return min(max(wait, 0.0), LONGEST_RETRY_AFTER_S)
    return None


def _details(body: bytes) -> tuple[str, str, str]:
    """Code, type and message of an error body; empty where it is not JSON of a known shape."""
    try:
        found = orjson.loads(body)
    except orjson.JSONDecodeError:
        return "", "", ""
    if type(found) is dict and "error" in found:
        found = found["error"]
    if type(found) is not dict:
        return "", "", str(found)
    code, kind, message = (found.get(name) for name in ("code", "type", "message"))
    return str(code or ""), str(kind or ""), str(message or "")


def _folded(code: str) -> str:
    return code.replace("_", "").replace("-", "").lower()
