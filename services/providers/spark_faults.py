"""From Spark's numbers and refused handshakes to our errors, with what the log needs and a client must not see."""

from __future__ import annotations

import logging

import orjson

from services.errors import VendorError
from services.providers.spark_codes import CODES, HANDSHAKE, PASSWORD, UNKNOWN
from services.providers.vendor_faults import FaultMap
from services.wire.iflytek_signature import MAX_SKEW_S, skew_s
from services.wire.websocket_client import HandshakeRefusedError

log = logging.getLogger(__name__)


class SparkFaults(FaultMap):
    """Spark's words for its refusals, over both ways to it."""

    __slots__ = ()

    def of_code(self, code: int, message: str, sid: str) -> VendorError:
        """The error a number other than 0 in a frame's header means; `message` and `sid` are for the log."""
        advice = CODES.get(code, UNKNOWN)
        said = self.masked(message.encode("utf-8", "replace"))
        log.warning("spark code=%d sid=%.80s said=%s", code, sid, said)
        return self.refusal(advice)

    def of_handshake(self, refused: HandshakeRefusedError) -> VendorError:
        """The error a refused upgrade means; a wrong clock of ours is told as such."""
        said = _said(refused.body)
        log.warning("spark refused the handshake with %d: %s", refused.status, self.masked(said.encode()))
        if refused.status < 300:
            return self.of_page(refused.body)
        if refused.status not in (401, 403):
            return self.of_response(refused.status, refused.headers, refused.body)
        skew = skew_s(refused.headers.get("date", ""), self.clock)
        if skew is not None and abs(skew) >= MAX_SKEW_S:
            log.warning("this server's clock is %d seconds %s Spark's", abs(skew), "ahead of" if skew > 0 else "behind")
            return self.refusal(HANDSHAKE["clock"])
        return self.refusal(HANDSHAKE[_cause(refused.status, said.lower())])

    def _error(self, status: int, codes: tuple[str, str], message: str, retry_after: float | None) -> VendorError:
        number = codes[0]
        if number.isdecimal() and len(number) == 5 and (int(number) in CODES or status == 500):
            return self.refusal(CODES.get(int(number), UNKNOWN))
        if status in (401, 403):
            return self.refusal(PASSWORD)
        return super()._error(status, codes, message, retry_after)


def _cause(status: int, said: str) -> str:
    """Which row of `HANDSHAKE` a refusal belongs to. The vendor tells them apart by its sentence only."""
    if status == 403:
        return "address" if "ip address" in said else "clock" if "date" in said else "key"
    if "does not match" in said:
        return "secret"
    return "path" if said.strip() == "unauthorized" else "key"


def _said(body: bytes) -> str:
    """The sentence in `{"message": "..."}`; else the body as it is."""
    try:
        found = orjson.loads(body)
        if type(found) is dict and "message" in found:
            return str(found["message"])
    except orjson.JSONDecodeError:
        pass
    return body.decode("utf-8", "replace")
