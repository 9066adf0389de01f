"""Ark beyond the shared adapter: endpoints, error codes, inspections, continuation."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

import config
from services.errors import ContentBlocked, VendorError, VendorOverloaded, VendorRefused
from services.events import ReasoningDelta, Stop, TextDelta
from services.providers.ark import Ark, ArkSettings
from services.providers.ark_faults import ROWS, ArkFaults, row_of
from services.providers.ark_reader import ArkReader
from services.providers.base import ChatMessage, ChatRequest
from simulators.ark import CLOSED, ENDPOINT, NOT_OPEN, THINKING, ArkSimulator
from simulators.faults import Fault
from simulators.openai import KEY, answer_to

HELLO = (ChatMessage("user", "hi"),)


@pytest.fixture
def simulator() -> Iterator[ArkSimulator]:
    with ArkSimulator() as simulator:
        yield simulator


@pytest.fixture
def ark(simulator: ArkSimulator) -> Iterator[Ark]:
    ark = Ark(ArkSettings(api_key=KEY, base_url=simulator.base_url))
    yield ark
    ark.close()


def refusal(ark: Ark, model: str = ENDPOINT) -> VendorError:
    with pytest.raises(VendorError) as caught:
        list(ark.stream(ChatRequest(model, HELLO)))
    return caught.value


# Endpoints


def test_an_endpoint_is_known_by_the_model_it_is_said_to_have() -> None:
    """Name, window, thinking and continuation come from the model's name; of a bare endpoint little is promised."""
    named, thinking, bare, model = Ark(
        ArkSettings(
            api_key="k",
            endpoint=("doubao-1.5-pro-256k=ep-1", "doubao-1-5-thinking-pro=ep-2", "ep-3", "doubao-pro-4k"),
        )
    ).models()
    assert (named.id, named.vendor_model, named.continues, named.context_tokens) == (
        "doubao-1.5-pro-256k",
        "ep-1",
        True,
        256 * 1024,
    )
    assert (thinking.vendor_model, thinking.reasoning, thinking.continues) == ("ep-2", True, False)
    assert (bare.id, bare.vendor_model, bare.continues, bare.reasoning) == ("ep-3", "ep-3", False, False)
    assert (model.vendor_model, model.context_tokens, model.continues) == ("doubao-pro-4k", 4096, True)
    assert model.max_output_tokens < model.context_tokens
    assert Ark(ArkSettings()).adopt("ep-4")
    assert not Ark(ArkSettings()).adopt("gpt-4o")


@pytest.mark.parametrize("entry", ["bot-2024", "name=", "=ep-1", "ep 1", "接入点"])
def test_an_endpoint_that_cannot_be_is_refused_by_name(entry: str) -> None:
    """Before the port opens, in two languages."""
    with pytest.raises(config.ConfigError, match="^ARK_ENDPOINT") as caught:
        Ark(ArkSettings(endpoint=(entry,)))
    assert caught.value.chinese != str(caught.value)


def test_thoughts_come_apart_from_the_answer(ark: Ark) -> None:
    """And count as sold."""
    *pieces, stop = ark.stream(ChatRequest(THINKING, HELLO))
    assert [type(piece) for piece in pieces[:4]] == [ReasoningDelta] * 3 + [TextDelta]
    assert isinstance(stop, Stop) and stop.usage is not None
    assert stop.usage.completion_tokens == len(pieces)


def test_an_answer_goes_on_from_a_last_message_of_the_assistants(ark: Ark, simulator: ArkSimulator) -> None:
    """Without any mark: that is how Ark knows it."""
    list(ark.stream(ChatRequest(ENDPOINT, HELLO, prefix="so far")))
    assert simulator.calls[-1].json["messages"][-1] == {"role": "assistant", "content": "so far"}


# Refusals


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (400, "MissingParameter", VendorRefused),
        (400, "InvalidParameter", VendorRefused),
        (400, "InvalidParameter.max_tokens", VendorRefused),
        (400, "OutofContextError", VendorRefused),
        (400, "SensitiveContentDetected", ContentBlocked),
        (400, "SensitiveContentDetected.SevereViolation", ContentBlocked),
        (400, "SensitiveContentDetected.Violence", ContentBlocked),
        (400, "InputTextSensitiveContentDetected", ContentBlocked),
        (400, "InputImageSensitiveContentDetected", ContentBlocked),
        (400, "OutputTextSensitiveContentDetected", ContentBlocked),
        (400, "OutputTextSensitiveContentDetected.PolicyViolation", ContentBlocked),
        (400, "InputTextRiskDetection", ContentBlocked),
        (400, "InvalidEndpoint.ClosedEndpoint", VendorRefused),
        (401, "AuthenticationError", VendorRefused),
        (403, "AccountOverdueError", VendorRefused),
        (403, "InvalidAccountStatus", VendorRefused),
        (403, "OperationDenied.ServiceNotOpen", VendorRefused),
        (403, "OperationDenied.ServiceOverdue", VendorRefused),
        (403, "OperationDenied.InvalidState", VendorOverloaded),
        (403, "AccessDenied", VendorRefused),
        (404, "InvalidEndpointOrModel.NotFound", VendorRefused),
        (404, "InvalidEndpointOrModel.ModelIDAccessDisabled", VendorRefused),
        (404, "ModelNotOpen", VendorRefused),
        (429, "RateLimitExceeded.EndpointRPMExceeded", VendorOverloaded),
        (429, "RateLimitExceeded.EndpointTPMExceeded", VendorOverloaded),
        (429, "ModelAccountRpmRateLimitExceeded", VendorOverloaded),
        (429, "ModelAccountTpmRateLimitExceeded", VendorOverloaded),
        (429, "APIAccountRpmRateLimitExceeded", VendorOverloaded),
        (429, "AccountRateLimitExceeded", VendorOverloaded),
        (429, "RequestBurstTooFast", VendorOverloaded),
        (429, "ServerOverloaded", VendorOverloaded),
        (429, "InflightBatchsizeExceeded", VendorOverloaded),
        (429, "QuotaExceeded", VendorRefused),
        (429, "SetLimitExceeded", VendorRefused),
        (500, "InternalServiceError", VendorOverloaded),
        (400, "SomethingNew", VendorRefused),
        (429, "SomethingNew", VendorOverloaded),
        (500, "SomethingNew", VendorOverloaded),
    ],
)
def test_each_code_becomes_our_error_and_the_owners_sentence(
    ark: Ark,
    simulator: ArkSimulator,
    caplog: pytest.LogCaptureFixture,
    status: int,
    code: str,
    kind: type[VendorError],
) -> None:
    """Before the stream and, for what can come late, inside it; the vendor's words and the key stay behind."""
    for fault in (Fault(status=status, code=code), Fault(error_after=0, code=code)):
        if fault.error_after is not None and code == "SomethingNew":
            continue  # without a status it can only be taken for a passing fault
        caplog.clear()
        simulator.play(fault)
        with caplog.at_level(logging.WARNING):
            error = refusal(ark)
        assert isinstance(error, kind)
        assert error.retryable == kind.retryable
        assert "Simulated" not in error.message
        assert KEY not in error.message + caplog.text
        row = row_of(code)
        assert row is None or (row.english in caplog.text and error.message == row.told)


def test_what_the_simulated_vendor_refuses_by_itself_is_told_alike(ark: Ark, simulator: ArkSimulator) -> None:
    """A closed endpoint, a model that is not opened, an unknown endpoint, a wrong key."""
    simulator.key = "another"
    told = {refusal(ark).message}
    simulator.key = KEY
    told |= {refusal(ark, model).message for model in (CLOSED, NOT_OPEN, "ep-unknown")}
    assert told == {
        "The model's provider did not accept this server's key.",
        "The model's provider does not let this server use this model.",
        "The model's provider does not serve this model.",
    }


def test_every_row_has_a_sentence_in_both_languages() -> None:
    """One each, and none for the other's reader."""
    for code, row in ROWS.items():
        assert row.english.isascii() and row.english.endswith("."), code
        assert row.chinese.endswith("。") and not row.chinese.isascii(), code
    assert row_of("Unheard") is None


def test_a_wait_is_passed_on_only_where_waiting_helps(ark: Ark, simulator: ArkSimulator) -> None:
    """A limit a minute says when; a spent quota does not."""
    simulator.play(Fault(status=429, code="ServerOverloaded", retry_after="2"))
    assert refusal(ark).retry_after_s == 2
    simulator.play(Fault(status=429, code="QuotaExceeded", retry_after="2"))
    assert refusal(ark).retry_after_s is None


# Inspections


def test_an_answer_that_inspection_cut_ends_as_filtered(ark: Ark, simulator: ArkSimulator) -> None:
    """By the finish reason, by the hit beside it, or by an error in the middle; what was shown stays."""
    simulator.play(Fault(finish="content_filter"))
    *pieces, stop = ark.stream(ChatRequest(ENDPOINT, HELLO))
    assert isinstance(stop, Stop) and stop.reason == "content_filter" and pieces
    simulator.play(Fault(error_after=3, code="OutputTextSensitiveContentDetected"))
    *pieces, stop = ark.stream(ChatRequest(ENDPOINT, HELLO))
    assert isinstance(stop, Stop) and stop.reason == "content_filter"
    assert [piece.text for piece in pieces if isinstance(piece, TextDelta)] == answer_to("hi")[:3]


def test_a_hit_counts_whatever_reason_is_given() -> None:
    """It may come before the reason, beside another one, or be spoken of in the text."""
    def reason(*frames: bytes) -> str | None:
        reader = ArkReader(ArkFaults("ark"))
        for frame in frames:
            reader.read(frame)
        return reader.reason

    hit = b'{"choices": [{"delta": {"content": "a"}, "moderation_hit_type": "violence"}]}'
    none = b'{"choices": [{"delta": {"content": "\\"moderation_hit_type\\": \\"x\\""}, "moderation_hit_type": null}]}'
    end = b'{"choices": [{"delta": {}, "finish_reason": "stop"}]}'
    both = b'{"choices": [{"delta": {}, "finish_reason": "stop", "moderation_hit_type": "severe_violation"}]}'
    assert reason(hit, end) == reason(both) == "content_filter"
    assert reason(hit) is None
    assert reason(none, end) == "stop"
