"""What goes wrong here, in Spark's numbers. Pure."""

from __future__ import annotations

from datetime import UTC, datetime

from services.errors import (
    ChatError,
    Conflict,
    ContentBlocked,
    InvalidRequest,
    ModelUnavailable,
    ModelUnknown,
    QuotaExceeded,
    RateLimited,
    ServerBusy,
    TooLarge,
    VendorOverloaded,
    VendorRefused,
    VendorTimeout,
)

READ_FAILED = 10001
MESSAGE, SCHEMA, VALUE = 10003, 10004, 10005
QUESTION_BLOCKED, ANSWER_BLOCKED = 10013, 10014
NOT_AUTHORISED = 11200
TOO_MANY_AT_ONCE = 11203
ENGINE = 10012

CODES: dict[type[ChatError], tuple[int, str]] = {
    InvalidRequest: (MESSAGE, "ClientMsgError"),
    ModelUnknown: (MESSAGE, "ClientMsgError"),
    TooLarge: (10907, "TokenOverFlow"),
    Conflict: (10007, "UserBusyError"),
    QuotaExceeded: (NOT_AUTHORISED, "AppIdNoAuthError"),
    RateLimited: (11202, "AppIdQpsOverFlowError"),
    ServerBusy: (10008, "ServiceCapacityError"),
    ModelUnavailable: (10110, "ServiceBusyError"),
    VendorOverloaded: (10110, "ServiceBusyError"),
    VendorTimeout: (10010, "EngineReceiveError"),
    VendorRefused: (ENGINE, "EngineError"),
    ContentBlocked: (QUESTION_BLOCKED, "ContentAuditError"),
}
"""Ours to theirs; of the others, and of bugs, the engine broke."""


class SparkRefusal(InvalidRequest):
    """A question that is refused with a number of its own."""

    def __init__(self, number: int, name: str, message: str) -> None:
        super().__init__(message)
        self.number = number
        self.name = name


def told(error: ChatError, *, has_text: bool, now_ms: int) -> tuple[int, str]:
    """Number and message of an error frame. The message reads as the vendor's do: name, time, what it is about."""
    if isinstance(error, SparkRefusal):
        number, name = error.number, error.name
    else:
        number, name = CODES.get(type(error), (ENGINE, "EngineError"))
    if number == QUESTION_BLOCKED and has_text:
        number = ANSWER_BLOCKED
    time = datetime.fromtimestamp(now_ms / 1000, UTC).strftime("%H:%M:%S")
    return number, f"{name}:({time}.{now_ms % 1000:03d}) {error.message}"
