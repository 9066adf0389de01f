"""Every vendor as a user meets it, with all its faults: through the real server, told by a stock client."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import gevent
import pytest
import requests

from simulators.faults import Fault
from simulators.loopback import Call
from simulators.openai import KEY, answer_to
from simulators.spark import SECRET, SparkFault
from tests.processes import ServerProcess
from tests.vendors import Simulator, Vendors
from tests.viewers import Device, Seen

HANG_UP_S = 0.2
"""Within which a stopped turn's vendor must see its connection closed."""
TOKENS = 20_000
QUESTION = "Say 床前明月光 😀"
MODELS = {
    "openai": "gpt-4o-mini",
    "deepseek": "deepseek-chat",
    "dashscope": "qwen-plus",
    "ark": "doubao-1-5-pro-32k",
    "spark": "spark-lite",
    "ollama": "ollama/qwen2:7b",
    "vllm": "vllm/Qwen/Qwen2.5-7B-Instruct",
}
CONTINUING = {"deepseek", "dashscope", "ark"}

WHOLE = [
    "",
    "split=1",
    "split=1 crlf bom",
    "no-blank unchunked",
    "comments-s=0.3",
    "line-bytes=900000",
    "twice",
    "usage=twice",
    "null-choices",
    "status=503 times=1",
    "status=429 times=1",
    "status=429 retry-after=1 times=1",
    "reset-after=0 times=1",
    "error-after=0 times=1",
]
UNCOUNTED = ["usage=none", "usage=negative", "usage=huge", "usage=text"]
BROKEN_OFF = {
    "silent-after=3 times=1": "vendor_timeout",
    "reset-after=3 times=1": "vendor_overloaded",
    "end-after=3 times=1": "vendor_overloaded",
    "cut-after=3 times=1": "vendor_overloaded",
    "error-after=3 times=1": "vendor_overloaded",
    "bad-json-after=3 times=1": "vendor_overloaded",
}
FAILING = {
    "silent": "vendor_timeout",
    "comments-s=20": "vendor_timeout",
    "silent-after=0": "vendor_timeout",
    "status=500": "vendor_overloaded",
    "reset-after=0": "vendor_overloaded",
    "end-after=0": "vendor_overloaded",
    "error-after=0": "vendor_overloaded",
}
KEY_REFUSED = Fault(status=401)
REFUSALS: dict[str, list[tuple[Fault, str]]] = {
    "openai": [
        (KEY_REFUSED, "vendor_refused"),
        (Fault(status=429, code="insufficient_quota"), "vendor_refused"),
        (Fault(status=400, code="content_policy_violation"), "content_blocked"),
        (Fault(html=True), "vendor_overloaded"),
    ],
    "deepseek": [(KEY_REFUSED, "vendor_refused"), (Fault(status=402), "vendor_refused")],
    "dashscope": [
        (Fault(status=401, code="InvalidApiKey"), "vendor_refused"),
        (Fault(status=400, code="Arrearage"), "vendor_refused"),
        (Fault(status=400, code="DataInspectionFailed"), "content_blocked"),
        (Fault(html=True), "vendor_overloaded"),
    ],
    "ark": [
        (Fault(status=401, code="AuthenticationError"), "vendor_refused"),
        (Fault(status=403, code="AccountOverdueError"), "vendor_refused"),
        (Fault(status=404, code="ModelNotOpen"), "vendor_refused"),
        (Fault(status=400, code="InputTextSensitiveContentDetected"), "content_blocked"),
        (Fault(html=True), "vendor_overloaded"),
    ],
    "spark": [
        (KEY_REFUSED, "vendor_refused"),
        (SparkFault(error_after=0, code="11200"), "vendor_refused"),
        (SparkFault(error_after=0, code="10013"), "content_blocked"),
        (Fault(html=True), "vendor_overloaded"),
    ],
    "ollama": [(Fault(status=404), "vendor_refused"), (Fault(html=True), "vendor_overloaded")],
    "vllm": [(Fault(status=400), "vendor_refused"), (Fault(html=True), "vendor_overloaded")],
}
AUDITS = {
    "openai": "content_filter",
    "deepseek": "content_filter",
    "dashscope": "DataInspectionFailed",
    "ark": "OutputTextSensitiveContentDetected",
    "spark": "10014",
}


@pytest.fixture(scope="module")
def running() -> Iterator[Vendors]:
    with Vendors(set(MODELS)) as vendors:
        yield vendors


@pytest.fixture
def vendors(running: Vendors) -> Vendors:
    """The simulators, with no call remembered and no fault left over."""
    running.forget()
    return running


@pytest.fixture(scope="module")
def server(running: Vendors, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """One that knows every vendor; `both` asks OpenAI first; time limits are short."""
    server = ServerProcess(
        tmp_path_factory.mktemp("server") / "data",
        **running.env,
        MODEL_CHAINS="both=gpt-4o-mini>deepseek-chat",
        FIRST_PIECE_TIMEOUT_S="2",
        IDLE_TIMEOUT_S="2",
        INITIAL_TOKENS=str(TOKENS),
        RATE_LIMIT_ENABLED="0",
    ).start()
    with gevent.Timeout(20, AssertionError("The models of Ollama and vLLM were not found.")):
        while not {model["id"] for model in _get(server, "/v1/models")["data"]} >= set(MODELS.values()):
            gevent.sleep(0.05)
    yield server
    log = server.log.read_text()
    assert KEY not in log
    assert SECRET not in log
    assert "Traceback" not in log
    server.stop()


def _get(server: ServerProcess, path: str, token: str | None = None) -> dict[str, Any]:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    answer = requests.get(server.address + path, headers=headers, timeout=10).json()
    assert isinstance(answer, dict)
    return answer


@dataclass
class Trip:
    """One turn of a user of its own."""

    prompt: str
    device: Device
    seen: Seen
    end: dict[str, Any]

    @property
    def code(self) -> str | None:
        error = self.end.get("error") or {}
        return error.get("code")

    @property
    def told(self) -> str:
        """Everything the client was told, but for what the model said."""
        return str((self.end, self.device.notes))

    def calls(self, simulator: Simulator) -> list[Call]:
        """What the vendor was asked for it."""
        return [call for call in simulator.calls if self.prompt in str(call.json)]


def travel(server: ServerProcess, vendor: str, prompt: str = QUESTION, **fields: Any) -> Trip:
    """Ask, wait for the one ending, and check that the ledger holds what was charged."""
    device = Device(server.address).connect()
    model = MODELS.get(vendor, vendor)
    seen = device.seen(device.ask("c-1", prompt, model=model, **fields)["turn"])
    trip = Trip(prompt, device, seen, seen.whole())
    left = _get(server, "/v1/auth/me", device.token)["quota"]["tokens"]
    assert left == TOKENS - trip.end["charged"] >= 0, prompt
    assert (trip.end["charged"] > 0) == bool(seen.text), prompt
    assert "imulat" not in trip.told, prompt
    device.leave()
    return trip


def travel_together(server: ServerProcess, vendor: str, faults: Sequence[str]) -> list[tuple[str, Trip]]:
    """A trip for each fault, all at the same time."""
    prompts = [f"{QUESTION} {number} [[fault {fault}]]" for number, fault in enumerate(faults)]
    jobs = [gevent.spawn(travel, server, vendor, prompt) for prompt in prompts]
    gevent.joinall(jobs, raise_error=True)
    return [(fault, job.value) for fault, job in zip(faults, jobs, strict=True)]


def answer(trip: Trip) -> str:
    return "".join(answer_to(trip.prompt))


@pytest.mark.parametrize("vendor", MODELS)
def test_an_answer_is_whole_whatever_does_not_spoil_it(server: ServerProcess, vendors: Vendors, vendor: str) -> None:
    """Text exact, and charged to the token what was sold; a busy vendor is asked again, but not before it says."""
    for fault, trip in travel_together(server, vendor, WHOLE):
        calls = trip.calls(vendors[vendor])
        assert (trip.end["status"], trip.seen.text) == ("done", answer(trip)), fault
        assert not trip.end["usage"]["estimated"], fault
        assert trip.end["charged"] == sum(call.sold for call in calls) + calls[-1].prompt_tokens, fault
        assert len(calls) == 1 + ("times=1" in fault), fault


@pytest.mark.parametrize("vendor", MODELS)
def test_an_answer_without_a_count_that_can_be_true_is_estimated(
    server: ServerProcess, vendors: Vendors, vendor: str
) -> None:
    """The text is exact all the same."""
    for fault, trip in travel_together(server, vendor, UNCOUNTED):
        assert (trip.end["status"], trip.seen.text) == ("done", answer(trip)), fault
        assert trip.end["usage"]["estimated"], fault


@pytest.mark.parametrize("vendor", MODELS)
def test_an_answer_that_breaks_off_is_continued_or_kept(server: ServerProcess, vendors: Vendors, vendor: str) -> None:
    """Who can go on from a prefix gives the very text of an unbroken answer; of the others the beginning stays."""
    faults = {fault: code for fault, code in BROKEN_OFF.items() if vendor != "ollama" or "error" not in fault}
    for fault, trip in travel_together(server, vendor, list(faults)):
        if vendor in CONTINUING:
            assert (trip.end["status"], trip.seen.text) == ("done", answer(trip)), fault
            assert len(trip.calls(vendors[vendor])) == 2, fault
        else:
            assert (trip.end["status"], trip.code) == ("failed", faults[fault]), fault
            assert answer(trip).startswith(trip.seen.text), fault
            assert trip.seen.text.startswith("".join(answer_to(trip.prompt)[:3])), fault


@pytest.mark.parametrize("vendor", MODELS)
def test_a_fault_before_the_first_piece_ends_the_turn_once(
    server: ServerProcess, vendors: Vendors, vendor: str
) -> None:
    """With our code, no text and no charge; a silent vendor is asked once, a busy one three times."""
    for fault, trip in travel_together(server, vendor, list(FAILING)):
        assert (trip.end["status"], trip.code, trip.seen.text) == ("failed", FAILING[fault], ""), fault
        calls = trip.calls(vendors[vendor])
        assert len(calls) == (1 if FAILING[fault] == "vendor_timeout" else 3), fault


@pytest.mark.parametrize(
    ("vendor", "fault", "code"), [(vendor, *case) for vendor, cases in REFUSALS.items() for case in cases]
)
def test_a_refusal_has_our_code(
    server: ServerProcess, vendors: Vendors, vendor: str, fault: Fault, code: str
) -> None:
    """Final ones are not asked again."""
    vendors[vendor].play(*[fault] * 3)
    trip = travel(server, vendor)
    assert (trip.end["status"], trip.code, trip.seen.text) == ("failed", code, "")
    assert sum(call.request.method == "POST" or vendor == "spark" for call in vendors[vendor].calls) == (
        3 if code == "vendor_overloaded" else 1
    )


@pytest.mark.parametrize("vendor", AUDITS)
def test_an_answer_that_a_review_stops_keeps_what_was_shown(
    server: ServerProcess, vendors: Vendors, vendor: str
) -> None:
    """It ends as `content_filter`, and is neither asked again nor continued."""
    trip = travel(server, vendor, f"{QUESTION} [[fault error-after=3 code={AUDITS[vendor]}]]")
    assert (trip.end["status"], trip.end["reason"]) == ("done", "content_filter")
    assert trip.seen.text == "".join(answer_to(trip.prompt)[:3])
    assert len(trip.calls(vendors[vendor])) == 1


def test_an_answer_that_repeats_itself_in_every_frame_is_shown_once(server: ServerProcess, vendors: Vendors) -> None:
    """DashScope's cumulative frames."""
    trip = travel(server, "dashscope", f"{QUESTION} [[fault cumulative]]")
    assert (trip.end["status"], trip.seen.text) == ("done", answer(trip))


@pytest.mark.parametrize("vendor", MODELS)
def test_an_endless_answer_is_hung_up_on(server: ServerProcess, vendors: Vendors, vendor: str) -> None:
    """A vendor that ignores the limit it was told is left, and costs not much more than it."""
    trip = travel(server, vendor, f"{QUESTION} [[fault flood]]", max_tokens=200)
    (call,) = trip.calls(vendors[vendor])
    assert (trip.end["status"], trip.end["reason"]) == ("done", "length")
    assert trip.end["charged"] < 2000
    assert call.ended.wait(5)


@pytest.mark.parametrize("vendor", MODELS)
def test_a_stop_closes_the_vendors_connection(server: ServerProcess, vendors: Vendors, vendor: str) -> None:
    """The vendor sees the hang-up at once, and the user is charged for what came."""
    vendors[vendor].play(Fault(pieces=10_000, rate=50))
    device = Device(server.address).connect()
    turn = device.ask("c-1", "hi", model=MODELS[vendor])["turn"]
    assert device.seen(turn).moved.wait(10)
    asked = time.monotonic()
    assert device.call("turn_stop", {"turn": turn})["status"] == "stopped"
    (call,) = [call for call in vendors[vendor].calls if call.json]
    assert call.hung_up.wait(5)
    assert call.hung_up_at is not None
    assert call.hung_up_at - asked < HANG_UP_S
    assert device.seen(turn).whole()["charged"] > 0
    device.leave()


def test_the_next_vendor_of_the_chain_takes_over(server: ServerProcess, vendors: Vendors) -> None:
    """A refused key passes the turn on before its first piece."""
    vendors["openai"].play(KEY_REFUSED)
    trip = travel(server, "both")
    assert (trip.end["status"], trip.seen.text) == ("done", answer(trip))
    assert len(vendors["openai"].calls) == len(vendors["deepseek"].calls) == 1


def test_half_an_answer_is_not_followed_by_anothers(server: ServerProcess, vendors: Vendors) -> None:
    """The next vendor of the chain goes on from the text where it can; the text is of one piece."""
    vendors["openai"].play(Fault(reset_after=3))
    trip = travel(server, "both")
    assert (trip.end["status"], trip.seen.text) == ("done", answer(trip))
    assert vendors["deepseek"].calls[-1].json["messages"][-1]["prefix"]


def test_many_at_once_on_an_account_for_a_few(server: ServerProcess, vendors: Vendors) -> None:
    """Charged is what the vendor sold; the balance never goes below zero; the others are refused with a code."""
    vendor = vendors["openai"]
    vendor.play(*[Fault(rate=6)] * 20)  # four seconds each: none has ended when the last is asked for
    device = Device(server.address).connect()
    payload = {"text": "hi", "model": MODELS["openai"], "max_tokens": 6_000}
    jobs = [gevent.spawn(device.call, "turn_start", {**payload, "client_id": f"c-{number}"}) for number in range(20)]
    gevent.joinall(jobs, raise_error=True)
    answers = [job.value for job in jobs]
    started = [answer for answer in answers if answer["ok"]]
    charged = sum(device.seen(answer["turn"]).whole()["charged"] for answer in started)
    assert {answer["error"]["code"] for answer in answers if not answer["ok"]} == {"quota_exceeded"}
    assert 3 <= len(started) < 20
    assert charged == sum(vendor.sold) + sum(call.prompt_tokens for call in vendor.calls)
    assert _get(server, "/v1/auth/me", device.token)["quota"]["tokens"] == TOKENS - charged >= 0
    device.leave()
