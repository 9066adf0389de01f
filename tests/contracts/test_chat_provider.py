"""What every chat provider promises, tried on each one against its simulator.

A provider without a line in `SIMULATED` (or in `LOCAL`) fails here: a vendor comes with its simulator.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from typing import Any

import gevent
import pytest
from gevent.event import Event

import config
from services.discovery import collect
from services.errors import ContentBlocked, VendorError, VendorOverloaded, VendorRefused, VendorTimeout
from services.events import ReasoningDelta, Stop, TextDelta, Usage
from services.providers import demo
from services.providers.base import ChatMessage, ChatProvider, ChatRequest, ModelCard, ProviderSpec
from services.wire import http_client, websocket_client
from simulators.faults import Fault
from simulators.openai import KEY, answer_to
from tests.vendors import SIMULATED, Simulator, simulator_of

SPECS = {spec.name: spec for spec in collect("services.providers", ProviderSpec)}
HTTP = sorted(SIMULATED.keys() - {"spark"})  # the others' answers are bodies of HTTP
GIVING_A_REASON = sorted(SIMULATED.keys() - {"spark", "spark http"})
LOCAL = {"demo"}
CONTINUING = {"deepseek", "dashscope", "ark"}
PROMPT = "Say 床前明月光 😀"

Pieces = list[TextDelta | ReasoningDelta | Stop]


@dataclass
class Vendor:
    """A provider with the simulator behind it; `None` for local ones."""

    provider: ChatProvider
    card: ModelCard
    simulator: Simulator | None

    def request(self, prompt: str = PROMPT, **fields: Any) -> ChatRequest:
        return ChatRequest(model=self.card.vendor_model, messages=(ChatMessage("user", prompt),), **fields)

    def ask(self, prompt: str = PROMPT, *, fault: Fault | None = None, **fields: Any) -> Pieces:
        if fault is not None:
            assert self.simulator is not None
            self.simulator.play(fault)
        return list(self.provider.stream(self.request(prompt, **fields)))

    def fail(self, fault: Fault) -> tuple[str, VendorError]:
        assert self.simulator is not None
        self.simulator.play(fault)
        text: list[str] = []
        with pytest.raises(VendorError) as caught:
            text.extend(piece.text for piece in self.provider.stream(self.request()) if isinstance(piece, TextDelta))
        return "".join(text), caught.value


def text_of(pieces: Pieces) -> str:
    return "".join(piece.text for piece in pieces if isinstance(piece, TextDelta))


def build(name: str, env: dict[str, str]) -> ChatProvider:
    spec = SPECS[name.partition(" ")[0]]
    return spec.build(config.read(spec.settings, env, prefix=spec.prefix))


def vendor_of(name: str, simulator: Simulator | None) -> Vendor:
    provider = build(name, SIMULATED[name](simulator.url) if simulator else {})
    provider.models()
    if found := getattr(provider, "_found", None):
        found.wait(5)
    return Vendor(provider, provider.models()[0], simulator)


@pytest.fixture(params=sorted(SPECS))
def any_vendor(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Vendor]:
    """Every provider that registers itself."""
    monkeypatch.setattr(demo, "PIECES_PER_S", 0)
    if request.param in LOCAL:
        yield vendor_of(request.param, None)
        return
    assert request.param in SIMULATED, "a vendor comes with its simulator"
    with simulator_of(request.param) as simulator:
        vendor = vendor_of(request.param, simulator)
        simulator.calls.clear()
        yield vendor
        vendor.provider.close()


@pytest.fixture(params=sorted(SIMULATED))
def vendor(request: pytest.FixtureRequest) -> Iterator[Vendor]:
    """Every provider that is reached over a network."""
    with simulator_of(request.param) as simulator:
        vendor = vendor_of(request.param, simulator)
        simulator.calls.clear()
        yield vendor
        vendor.provider.close()


def _shown(fault: Any) -> str | None:
    """A fault by what is not usual in it."""
    if not isinstance(fault, Fault):
        return None
    return ",".join(
        f"{field.name}={getattr(fault, field.name)}"
        for field in fields(fault)
        if getattr(fault, field.name) != field.default
    )


# Every provider


def test_models_are_told_apart_and_belong_to_the_provider(any_vendor: Vendor) -> None:
    """Cards are complete; listing them twice gives the same."""
    cards = any_vendor.provider.models()
    assert len({card.id for card in cards}) == len(cards)
    assert cards == any_vendor.provider.models()
    for card in cards:
        assert card.name
        assert card.vendor_model
        assert not card.continues or card.provider in CONTINUING | LOCAL
        assert 0 < card.max_output_tokens <= card.context_tokens or card.id == "benchmark"
        assert SPECS[card.provider].build is type(any_vendor.provider)


@pytest.mark.parametrize("name", sorted(SPECS))
def test_nothing_has_to_be_configured(name: str) -> None:
    """Without a key a vendor is listed as unavailable, or not at all; building it opens nothing."""
    provider = build(name, {"OLLAMA_BASE_URL": "off"})
    assert all(card.available == (name in LOCAL) for card in provider.models())
    provider.close()


def test_an_answer_is_pieces_and_one_stop(any_vendor: Vendor) -> None:
    """Every piece has text, the stop comes last and counts what was sold."""
    *pieces, stop = any_vendor.ask()
    assert all(isinstance(piece, (TextDelta, ReasoningDelta)) and piece.text for piece in pieces)
    assert isinstance(stop, Stop)
    assert stop.reason == "stop"
    assert stop.usage is not None
    assert stop.usage.completion_tokens == len(pieces)
    assert stop.usage.prompt_tokens > 0
    assert not stop.usage.estimated


def test_max_tokens_ends_the_answer_as_cut(any_vendor: Vendor) -> None:
    """The reason is `length`, and no more than allowed is sold."""
    *pieces, stop = any_vendor.ask(max_tokens=5)
    assert isinstance(stop, Stop)
    assert (len(pieces), stop.reason) == (5, "length")


def test_answers_at_the_same_time_do_not_mix(any_vendor: Vendor) -> None:
    """Each stream is its own."""
    alone = [any_vendor.ask(f"echo {number} 号") for number in range(5)]
    together = [gevent.spawn(any_vendor.ask, f"echo {number} 号") for number in range(5)]
    assert [greenlet.get(timeout=10) for greenlet in together] == alone


def test_a_stream_closed_early_leaves_nothing_behind(any_vendor: Vendor) -> None:
    """The next question is answered whole."""
    whole = any_vendor.ask()
    for count in (1, 3):
        stream = any_vendor.provider.stream(any_vendor.request())
        assert list(itertools.islice(stream, count)) == whole[:count]
        stream.close()
    assert any_vendor.ask() == whole


@pytest.mark.parametrize("any_vendor", sorted(CONTINUING), indirect=True)
def test_a_prefix_is_gone_on_from(any_vendor: Vendor) -> None:
    """Whoever's card says so gives exactly the rest."""
    *pieces, _ = any_vendor.ask()
    for cut in (1, 7, len(pieces) - 1):
        rest = any_vendor.ask(prefix=text_of(pieces[:cut]))
        assert text_of(rest) == text_of(pieces[cut:])


class StopError(Exception):
    """What another greenlet throws to end a turn."""


# Vendors over a network


@pytest.mark.parametrize("split", [1, 2, 3, 5, 7, 64, 100_000])
def test_the_text_is_exact_however_the_bytes_are_cut(vendor: Vendor, split: int) -> None:
    """Characters, field names and chunks may be cut anywhere."""
    pieces = vendor.ask(fault=Fault(split=split))
    assert [piece.text for piece in pieces[:-1] if not isinstance(piece, Stop)] == answer_to(PROMPT)


@pytest.mark.parametrize("vendor", GIVING_A_REASON, indirect=True)
@pytest.mark.parametrize(
    "fault",
    [
        Fault(crlf=True),
        Fault(crlf=True, split=1),
        Fault(bom=True),
        Fault(no_blank=True),
        Fault(no_done=True),
        Fault(unchunked=True),
        Fault(unchunked=True, no_done=True),
        Fault(comments_s=0.1),
        Fault(line_bytes=900_000),
        Fault(twice=True),
        Fault(null_choices=True),
        Fault(usage="all"),
        Fault(usage="twice"),
        Fault(plain=True),
        Fault(length=0),
        Fault(length=50),
    ],
    ids=_shown,
)
def test_other_ways_to_write_an_answer_give_the_same(vendor: Vendor, fault: Fault) -> None:
    """Text, reason and usage are those of the plain answer; what comes after the end is dropped."""
    pieces = vendor.ask(fault=fault)
    assert vendor.simulator is not None
    sold = vendor.simulator.calls[-1]
    assert text_of(pieces) == "".join(answer_to(PROMPT))
    assert pieces[-1] == Stop("stop", Usage(sold.prompt_tokens, sold.sold))


@pytest.mark.parametrize("usage", ["none", "negative", "huge", "text", "zero"])
def test_a_count_that_cannot_be_true_is_left_out(vendor: Vendor, usage: str) -> None:
    """The answer is whole all the same."""
    pieces = vendor.ask(fault=Fault(usage=usage))
    assert (text_of(pieces), pieces[-1]) == ("".join(answer_to(PROMPT)), Stop("stop", None))


def test_bytes_that_are_no_text_are_replaced(vendor: Vendor) -> None:
    """Once, where they stood; the stream goes on."""
    text = text_of(vendor.ask(fault=Fault(bad_utf8=True)))
    assert text.count("\ufffd") == 1
    assert text.replace("\ufffd", "") == "".join(answer_to(PROMPT))


@pytest.mark.parametrize("vendor", GIVING_A_REASON, indirect=True)
def test_a_refusal_is_text_that_ends_as_filtered(vendor: Vendor) -> None:
    """The model's own refusal is its answer."""
    pieces = vendor.ask(fault=Fault(refusal=True))
    assert text_of(pieces)
    assert isinstance(pieces[-1], Stop)
    assert pieces[-1].reason == "content_filter"


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (Fault(status=400), VendorRefused),
        (Fault(status=401), VendorRefused),
        (Fault(status=402), VendorRefused),
        (Fault(status=403), VendorRefused),
        (Fault(status=404), VendorRefused),
        (Fault(status=422), VendorRefused),
        (Fault(status=429), VendorOverloaded),
        (Fault(status=500), VendorOverloaded),
        (Fault(status=502, html=True), VendorOverloaded),
        (Fault(status=503), VendorOverloaded),
        (Fault(html=True), VendorOverloaded),
        (Fault(reset_after=0), VendorOverloaded),
        (Fault(end_after=0), VendorOverloaded),
        (Fault(cut_after=0), VendorOverloaded),
        (Fault(error_after=0), VendorOverloaded),
        (Fault(bad_json_after=0), VendorOverloaded),
    ],
    ids=_shown,
)
def test_a_fault_before_the_first_piece_is_told_by_its_kind(
    vendor: Vendor, fault: Fault, kind: type[VendorError]
) -> None:
    """No text has come, and the error has our words and not the vendor's."""
    text, error = vendor.fail(fault)
    assert (text, type(error)) == ("", kind)
    assert "Simulated" not in error.message
    assert KEY not in error.message


@pytest.mark.parametrize("vendor", HTTP, indirect=True)
@pytest.mark.parametrize(
    ("fault", "kind"),
    [(Fault(gzip=True), VendorRefused), (Fault(line_bytes=1_100_000), VendorOverloaded)],
    ids=_shown,
)
def test_a_body_that_cannot_be_read_is_told_by_its_kind(vendor: Vendor, fault: Fault, kind: type[VendorError]) -> None:
    """Compressed although nobody asked, or with a line beyond all measure."""
    text, error = vendor.fail(fault)
    assert (text, type(error)) == ("", kind)


@pytest.mark.parametrize(
    "fault",
    [
        Fault(reset_after=3),
        Fault(end_after=3),
        Fault(cut_after=3),
        Fault(error_after=3),
        Fault(bad_json_after=3),
        Fault(unchunked=True, end_after=3),
    ],
    ids=_shown,
)
def test_an_answer_that_breaks_off_is_not_done(vendor: Vendor, fault: Fault) -> None:
    """What had come is kept, in order; the end is an error."""
    text, error = vendor.fail(fault)
    assert "".join(answer_to(PROMPT)).startswith(text)
    assert text.startswith("".join(answer_to(PROMPT)[:3]))
    assert type(error) is VendorOverloaded


@pytest.mark.parametrize("vendor", GIVING_A_REASON, indirect=True)
@pytest.mark.parametrize("finish", ["abort", "insufficient_system_resource"])
def test_an_answer_whose_reason_is_a_fault_is_not_done(vendor: Vendor, finish: str) -> None:
    """The vendor says so itself."""
    text, error = vendor.fail(Fault(finish=finish, pieces=3))
    assert text == "".join(answer_to(PROMPT, 3))
    assert type(error) is VendorOverloaded


def test_retry_after_is_passed_on(vendor: Vendor) -> None:
    """Seconds, as the vendor says."""
    assert vendor.fail(Fault(status=429, retry_after="2"))[1].retry_after_s == 2
    assert vendor.fail(Fault(status=429))[1].retry_after_s is None


@pytest.mark.parametrize("vendor", ["dashscope", "openai"], indirect=True)
def test_an_answer_blocked_in_the_middle_keeps_what_was_shown(vendor: Vendor) -> None:
    """It is an answer cut short, with that reason; blocked before the first piece it is a refusal."""
    pieces = vendor.ask(fault=Fault(error_after=3, code="data_inspection_failed"))
    assert text_of(pieces) == "".join(answer_to(PROMPT)[:3])
    assert isinstance(pieces[-1], Stop)
    assert pieces[-1].reason == "content_filter"
    assert type(vendor.fail(Fault(error_after=0, code="data_inspection_failed"))[1]) is ContentBlocked


def test_closing_the_stream_hangs_up_and_stops_the_sale(vendor: Vendor) -> None:
    """The vendor sees it before it has sold much more."""
    assert vendor.simulator is not None
    vendor.simulator.play(Fault(rate=200, pieces=2_000))
    stream = vendor.provider.stream(vendor.request())
    next(stream)
    call = vendor.simulator.wait_for_call()
    stream.close()
    assert call.hung_up.wait(1)
    assert call.ended.wait(5)
    assert 1 <= call.sold <= 50


@pytest.mark.parametrize("fault", [Fault(silent=True), Fault(silent_after=0), Fault(silent_after=3)], ids=_shown)
@pytest.mark.parametrize("error", [VendorTimeout("late"), StopError()], ids=["limit", "stop"])
def test_what_is_thrown_at_a_silent_vendor_comes_out_and_hangs_up(
    vendor: Vendor, fault: Fault, error: Exception
) -> None:
    """A limit or a stop ends the wait at once, wherever in the call it is; nothing is swallowed."""
    assert vendor.simulator is not None
    vendor.simulator.play(fault)
    expected = fault.silent_after or 0
    seen: list[str] = []
    all_seen = Event()

    def follow() -> None:
        for piece in vendor.provider.stream(vendor.request()):
            seen.append(getattr(piece, "text", ""))
            if len(seen) == expected:
                all_seen.set()

    greenlet = gevent.spawn(follow)
    call = vendor.simulator.wait_for_call()
    assert expected == 0 or all_seen.wait(5)
    greenlet.kill(error, block=False)
    with pytest.raises(type(error)):
        greenlet.get(timeout=5)
    assert call.hung_up.wait(1)
    assert seen == answer_to(PROMPT)[:expected]


@pytest.mark.parametrize("vendor", [*GIVING_A_REASON, "spark"], indirect=True)
def test_a_reason_that_came_is_an_end_even_when_the_vendor_lingers(
    vendor: Vendor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A limit that runs out behind the end does not spoil a whole answer."""
    monkeypatch.setattr("services.providers.openai_compatible.TAIL_S", 0.05)
    assert vendor.simulator is not None
    vendor.simulator.play(Fault(usage="none", no_done=True, linger=True))
    pieces = list(vendor.provider.stream(vendor.request()))
    assert pieces[-1] == Stop("stop", None)
    assert vendor.simulator.calls[-1].hung_up.wait(1)


def test_a_stream_without_end_is_cut_and_hung_up_on(vendor: Vendor, monkeypatch: pytest.MonkeyPatch) -> None:
    """The bytes of one answer have a bound, whatever the turn's limits are."""
    monkeypatch.setattr(http_client, "MAX_BODY_BYTES", 500_000)
    monkeypatch.setattr(websocket_client, "MAX_RECEIVED_BYTES", 500_000)
    _, error = vendor.fail(Fault(flood=True))
    assert type(error) is VendorOverloaded
    assert vendor.simulator is not None
    assert vendor.simulator.calls[-1].hung_up.wait(1)


def test_a_wrong_key_is_refused(vendor: Vendor) -> None:
    """And neither key nor the vendor's sentence is in the error."""
    assert vendor.simulator is not None
    vendor.simulator.key = "sk-another"
    if vendor.card.provider in ("ollama", "vllm"):
        assert vendor.ask()
        return
    with pytest.raises(VendorRefused) as caught:
        vendor.ask()
    assert "sk-" not in caught.value.message


@pytest.mark.parametrize("vendor", sorted(set(GIVING_A_REASON) - {"dashscope"}), indirect=True)
def test_pictures_travel_in_the_message(vendor: Vendor) -> None:
    """As data URLs, in the shape all dialects share. DashScope's own is tried elsewhere; Spark sees none."""
    picture = "data:image/png;base64,iVBORw0KGgo="
    message = ChatMessage("user", "What is this?", pictures=(picture,))
    list(vendor.provider.stream(replace(vendor.request(), messages=(message,))))
    assert vendor.simulator is not None
    assert vendor.simulator.calls[-1].json["messages"] == [
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "What is this?"},
                {"type": "image_url", "image_url": {"url": picture}},
            ],
        }
    ]
