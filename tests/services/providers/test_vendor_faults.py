"""What vendors' refusals mean here."""

from __future__ import annotations

import logging
from typing import Any

import orjson
import pytest

from services.errors import ContentBlocked, VendorError, VendorOverloaded, VendorRefused
from services.providers.dashscope import DashScope, DashScopeSettings
from services.providers.general_codes import ROWS, row
from services.providers.vendor_faults import FaultMap, retry_after_s
from tests.clocks import FakeClock

KEY = "sk-very-secret-key-0001"
OPENAI = FaultMap("openai", secrets=(KEY,))
DASHSCOPE = DashScope(DashScopeSettings(api_key=KEY))._faults


def body(code: Any = None, message: str = "no", kind: str = "invalid_request_error") -> bytes:
    return orjson.dumps({"error": {"message": message, "type": kind, "param": None, "code": code}})


@pytest.mark.parametrize(
    ("faults", "status", "answer", "kind"),
    [
        (OPENAI, 400, body("context_length_exceeded"), VendorRefused),
        (OPENAI, 400, body("content_policy_violation"), ContentBlocked),
        (OPENAI, 401, body("invalid_api_key"), VendorRefused),
        (OPENAI, 402, body("invalid_request_error", "Insufficient Balance"), VendorRefused),
        (OPENAI, 403, b"", VendorRefused),
        (OPENAI, 404, body("model_not_found"), VendorRefused),
        (OPENAI, 408, b"", VendorOverloaded),
        (OPENAI, 409, b"", VendorOverloaded),
        (OPENAI, 422, b"{}", VendorRefused),
        (OPENAI, 429, body("rate_limit_exceeded"), VendorOverloaded),
        (OPENAI, 429, body("insufficient_quota"), VendorRefused),
        (OPENAI, 302, b"", VendorRefused),
        (OPENAI, 500, b"not json", VendorOverloaded),
        (OPENAI, 502, b"<html>bad gateway</html>", VendorOverloaded),
        (OPENAI, 503, b'{"object":"error","message":"x","code":503}', VendorOverloaded),
        (DASHSCOPE, 400, body("data_inspection_failed"), ContentBlocked),
        (DASHSCOPE, 400, body("InternalError.Algo.DataInspectionFailed"), ContentBlocked),
        (DASHSCOPE, 400, body("DataInspectionFailed.Image"), ContentBlocked),
        (DASHSCOPE, 400, body("Arrearage"), VendorRefused),
        (DASHSCOPE, 429, body("insufficient_quota", "Allocated quota exceeded, please slow down."), VendorOverloaded),
        (DASHSCOPE, 429, body("insufficient_quota", "Free allocated quota exceeded."), VendorRefused),
        (DASHSCOPE, 429, body("limit_burst_rate"), VendorOverloaded),
        (DASHSCOPE, 429, body("PrepaidBillOverdue"), VendorRefused),
    ],
)
def test_status_and_code_choose_the_error(
    faults: FaultMap, status: int, answer: bytes, kind: type[VendorError]
) -> None:
    """The status first, then codes that say otherwise."""
    assert type(faults.of_response(status, {}, answer)) is kind


@pytest.mark.parametrize(
    ("frame", "kind"),
    [
        ({"error": {"message": "x", "code": 400}}, VendorRefused),
        ({"error": {"message": "x", "code": 503}}, VendorOverloaded),
        ({"error": {"message": "x", "code": "server_error"}}, VendorOverloaded),
        ({"error": {"message": "x", "type": "invalid_request_error", "code": None}}, VendorRefused),
        ({"error": {"message": "x", "code": "data_inspection_failed"}}, ContentBlocked),
        ({"error": "out of memory"}, VendorOverloaded),
        ({"object": "error", "message": "x", "type": "BadRequestError", "code": 400}, VendorRefused),
    ],
)
def test_an_error_in_a_stream_is_judged_by_its_code(frame: dict[str, Any], kind: type[VendorError]) -> None:
    """The HTTP status has long been 200."""
    assert type(OPENAI.of_frame(frame)) is kind


def test_a_vendors_words_and_our_key_reach_nobody(caplog: pytest.LogCaptureFixture) -> None:
    """The error has our sentence; the log has 500 letters of theirs, without secrets."""
    words = f"Incorrect key {KEY}, also Bearer abcdef012345 and sk-another0123456. " + "x" * 2000
    with caplog.at_level(logging.WARNING):
        errors = [
            OPENAI.of_response(401, {"x-request-id": "req_7"}, body("invalid_api_key", words)),
            OPENAI.of_frame({"error": {"message": words}}),
        ]
    for error in errors:
        assert "Incorrect" not in error.message
        assert KEY not in error.message
    assert "req_7" in caplog.text
    assert "Incorrect key" in caplog.text
    for secret in (KEY, "abcdef012345", "sk-another0123456"):
        assert secret not in caplog.text
    assert all(len(record.getMessage()) < 700 for record in caplog.records)
    assert KEY not in repr(OPENAI)


@pytest.mark.parametrize(
    ("headers", "wait"),
    [
        ({}, None),
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": "0.5"}, 0.5),
        ({"retry-after-ms": "250", "retry-after": "7"}, 0.25),
        ({"retry-after": "-5"}, 0.0),
        ({"retry-after": "1e99"}, 3600.0),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "Tue, 14 Nov 2023 22:13:50 GMT"}, 30.0),
        ({"retry-after": "Tue, 14 Nov 2023 22:00:00 GMT"}, 0.0),
        ({"retry-after": "Tue, 99 Nov 9999999 22:00:00 GMT"}, None),
    ],
)
def test_retry_after_is_read_as_seconds_or_as_a_date(headers: dict[str, str], wait: float | None) -> None:
    """What means nothing is passed over."""
    assert retry_after_s(headers, FakeClock()) == wait


@pytest.mark.parametrize(
    ("status", "answer", "words"),
    [
        (401, body("invalid_api_key"), "OPENAI_API_KEY"),
        (402, b"", "top it up"),
        (403, b"", "open the model"),
        (404, body("model_not_found"), "OPENAI_BASE_URL"),
        (429, body("insufficient_quota"), "top it up"),
        (429, body("rate_limit_exceeded"), "MODEL_CHAINS"),
        (400, body("context_length_exceeded"), "MAX_HISTORY"),
        (500, b"", "overloaded or broken"),
    ],
)
def test_the_owner_is_told_what_to_do(status: int, answer: bytes, words: str, caplog: pytest.LogCaptureFixture) -> None:
    """In the log and on the error, which does not show it to a client."""
    with caplog.at_level(logging.WARNING):
        error = OPENAI.of_response(status, {}, answer)
    assert error.advice is not None
    assert words in error.advice[0]
    assert error.advice[0] in caplog.text
    assert error.advice[0] not in str(error.to_wire())


def test_every_general_row_has_a_sentence_in_both_languages() -> None:
    """With the vendor's own variables, and without a name or an address in what users read."""
    for name in ROWS:
        english, chinese = row(name, "deepseek").error().advice or ("", "")
        assert english.endswith(".")
        assert english.isascii()
        assert chinese.endswith("。")
        assert "{" not in english + chinese
        assert not any(setting in ROWS[name].told for setting in ("_KEY", "_URL"))
