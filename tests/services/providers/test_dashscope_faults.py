"""What each of DashScope's codes means, told in every way the vendor tells it."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator

import pytest

import config
from services.errors import ContentBlocked, VendorError, VendorOverloaded, VendorRefused
from services.providers.base import ChatMessage, ChatRequest
from services.providers.dashscope import SPEC
from services.providers.dashscope_faults import ROWS, explain
from simulators.dashscope import DashScopeSimulator
from simulators.faults import Fault
from simulators.openai import KEY

HELLO = (ChatMessage("user", "hi"),)
NO, LATER, BLOCKED = VendorRefused, VendorOverloaded, ContentBlocked
KINDS: dict[str, tuple[int, type[VendorError]]] = {
    "InvalidParameter": (400, NO),
    "BadRequest": (400, NO),
    "BadRequest.EmptyInput": (400, NO),
    "BadRequest.EmptyParameters": (400, NO),
    "BadRequest.EmptyModel": (400, NO),
    "BadRequest.TooLarge": (413, NO),
    "InvalidURL": (400, NO),
    "UnsupportedOperation": (400, NO),
    "DataInspectionFailed": (400, BLOCKED),
    "CustomRoleBlocked": (400, BLOCKED),
    "FaqRuleBlocked": (400, BLOCKED),
    "ClientDisconnect": (400, LATER),
    "Arrearage": (400, NO),
    "InvalidApiKey": (401, NO),
    "AccessDenied": (403, NO),
    "AccessDenied.Unpurchased": (403, NO),
    "Model.AccessDenied": (403, NO),
    "App.AccessDenied": (403, NO),
    "InvalidApp": (400, NO),
    "Workspace.AccessDenied": (403, NO),
    "AllocationQuota.FreeTierOnly": (403, NO),
    "ModelNotFound": (404, NO),
    "WorkSpaceNotFound": (404, NO),
    "RequestTimeOut": (408, LATER),
    "UnsupportedMedia": (415, NO),
    "Throttling": (429, LATER),
    "Throttling.RateQuota": (429, LATER),
    "LimitRequests": (429, LATER),
    "LimitBurstRate": (429, LATER),
    "Throttling.BurstRate": (429, LATER),
    "Throttling.Concurrency": (429, LATER),
    "Throttling.AllocationQuota": (429, LATER),
    "InsufficientQuota": (429, LATER),
    "CommodityNotPurchased": (429, NO),
    "PrepaidBillOverdue": (429, NO),
    "PostpaidBillOverdue": (429, NO),
    "InternalError": (500, LATER),
    "InternalError.Algo": (500, LATER),
    "InternalError.Timeout": (500, LATER),
    "SystemError": (500, LATER),
    "ModelServiceFailed": (500, LATER),
    "AppProcessFailed": (500, LATER),
    "InvokePluginFailed": (500, LATER),
    "RetrivalFailed": (500, LATER),
    "RewriteFailed": (500, LATER),
    "ModelUnavailable": (503, LATER),
    "ServiceUnavailable": (503, LATER),
}


@pytest.fixture(scope="module")
def simulator() -> Iterator[DashScopeSimulator]:
    with DashScopeSimulator() as simulator:
        yield simulator


def failure(simulator: DashScopeSimulator, base_url: str, fault: Fault) -> VendorError:
    provider = SPEC.build(
        config.read(SPEC.settings, {"DASHSCOPE_API_KEY": KEY, "DASHSCOPE_BASE_URL": base_url}, prefix=SPEC.prefix)
    )
    simulator.forget()
    simulator.play(fault)
    with pytest.raises(VendorError) as caught:
        list(provider.stream(ChatRequest("qwen-plus", HELLO)))
    provider.close()
    return caught.value


@pytest.mark.parametrize("code", KINDS)
def test_a_code_means_the_same_however_it_is_told(
    simulator: DashScopeSimulator, code: str, caplog: pytest.LogCaptureFixture
) -> None:
    """As an answer with its status, inside a stream, and in the compatible mode; the owner's sentence is logged."""
    status, kind = KINDS[code]
    row = ROWS[code]
    small = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", code).lower()
    assert row.kind is kind
    for base_url, fault in (
        (simulator.base_url, Fault(status=status, code=code)),
        (simulator.base_url, Fault(error_after=0, code=code)),
        (f"{simulator.url}/compatible-mode/v1", Fault(status=status, code=small)),
    ):
        caplog.clear()
        with caplog.at_level(logging.WARNING):
            error = failure(simulator, base_url, fault)
        assert (type(error), error.message) == (kind, row.told)
        assert row.english in caplog.text
        assert KEY not in caplog.text


def test_every_code_is_tried_and_has_a_sentence_in_both_languages() -> None:
    """Plain ones: to the owner about what to do, to the user without names."""
    assert set(KINDS) == set(ROWS)
    for row in ROWS.values():
        assert row.english.endswith(".")
        assert row.chinese.endswith("。")
        assert not re.search("DashScope|Alibaba|[A-Z]{2}", row.told)


@pytest.mark.parametrize(
    ("code", "message", "status", "expected"),
    [
        ("InternalError.Algo.DataInspectionFailed", "", 400, "DataInspectionFailed"),
        ("InternalError.Algo.InvalidParameter", "", 500, "InvalidParameter"),
        ("DataInspectionFailed.Image", "", 400, "DataInspectionFailed"),
        ("data_inspection_failed", "", 400, "DataInspectionFailed"),
        ("InternalError.Algo", "Output data may contain inappropriate content.", 500, "DataInspectionFailed"),
        ("InvalidParameter", "Range of input length should be [1, 30720]", 400, "BadRequest.TooLarge"),
        ("InvalidParameter", "Required parameter(AppId) missing or invalid", 400, "InvalidApp"),
        ("InvalidParameter", "Failed to decode the image during the data inspection.", 400, "UnsupportedMedia"),
        ("insufficient_quota", "Free allocated quota exceeded.", 429, "AllocationQuota.FreeTierOnly"),
        ("Throttling.SomethingNew", "", 429, "Throttling"),
        ("", "", 401, "InvalidApiKey"),
        ("", "", 402, "Arrearage"),
        ("", "", 415, "UnsupportedMedia"),
        ("InvalidParameter", "", 415, "UnsupportedMedia"),
        ("SomethingNew", "", 418, "InvalidParameter"),
        ("SomethingNew", "", 502, "InternalError"),
        ("SomethingNew", "", 0, "InternalError"),
    ],
)
def test_unknown_codes_are_read_by_their_parts_words_and_status(
    code: str, message: str, status: int, expected: str
) -> None:
    """Messages change; codes grow new ends."""
    assert explain(code, message, status) == ROWS[expected]


def test_the_status_of_an_unknown_code_in_a_stream_is_in_a_comment(simulator: DashScopeSimulator) -> None:
    """HTTP has said 200 before."""
    error = failure(simulator, simulator.base_url, Fault(error_after=0, code="SomethingNew"))
    assert type(error) is VendorRefused
    error = failure(simulator, simulator.base_url, Fault(error_after=0, code="InternalNovelty"))
    assert type(error) is VendorOverloaded


def test_only_what_can_be_asked_again_has_a_time_to_wait(simulator: DashScopeSimulator) -> None:
    """A bill is not paid by waiting."""
    later = failure(simulator, simulator.base_url, Fault(status=429, retry_after="3"))
    final = failure(simulator, simulator.base_url, Fault(status=429, code="PostpaidBillOverdue", retry_after="3"))
    assert (later.retry_after_s, final.retry_after_s) == (3.0, None)
