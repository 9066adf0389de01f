"""A vendor's faults as a user meets them: through the real server, told by a stock client."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import gevent
import pytest
import requests

from simulators.faults import Fault
from simulators.openai import KEY, OpenAISimulator
from tests.processes import ServerProcess
from tests.viewers import Device

HANG_UP_S = 0.2
"""Within which a stopped turn's vendor must see its connection closed."""


@pytest.fixture(scope="module")
def simulator() -> Iterator[OpenAISimulator]:
    with OpenAISimulator() as simulator:
        yield simulator


@pytest.fixture
def vendor(simulator: OpenAISimulator) -> OpenAISimulator:
    """The simulator, with no call remembered and no fault left over."""
    simulator.forget()
    return simulator


@pytest.fixture(scope="module")
def server(simulator: OpenAISimulator, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """OpenAI and DeepSeek are one simulator; `both` asks OpenAI first; time limits are short."""
    vendor, folder = simulator, tmp_path_factory.mktemp("server")
    server = ServerProcess(
        folder / "data",
        OPENAI_API_KEY=KEY,
        OPENAI_BASE_URL=vendor.base_url,
        DEEPSEEK_API_KEY=KEY,
        DEEPSEEK_BASE_URL=f"{vendor.url}/deepseek",
        MODEL_CHAINS="both=gpt-4o-mini>deepseek-chat",
        FIRST_PIECE_TIMEOUT_S="1",
        IDLE_TIMEOUT_S="1",
        INITIAL_TOKENS="2000",
    ).start()
    yield server
    assert KEY not in server.log.read_text()
    server.stop()


def told(device: Device, answer: dict[str, Any]) -> tuple[dict[str, Any], str]:
    seen = device.seen(answer["turn"])
    return seen.whole(), seen.text


def test_a_stop_closes_the_vendors_connection(server: ServerProcess, vendor: OpenAISimulator) -> None:
    """The vendor sees the hang-up at once, and the user is charged for what came."""
    vendor.play(Fault(pieces=10_000, rate=50))
    device = Device(server.address).connect()
    turn = device.ask("c-1", "hi", model="gpt-4o-mini")["turn"]
    assert device.seen(turn).moved.wait(10)
    asked = time.monotonic()
    assert device.call("turn_stop", {"turn": turn})["status"] == "stopped"
    (call,) = vendor.calls
    assert call.hung_up.wait(5)
    assert call.hung_up_at is not None
    assert call.hung_up_at - asked < HANG_UP_S
    assert device.seen(turn).whole()["charged"] > 0


@pytest.mark.parametrize(
    ("fault", "status", "code"),
    [
        (Fault(status=401), "failed", "vendor_refused"),
        (Fault(status=402), "failed", "vendor_refused"),
        (Fault(status=429, code="insufficient_quota"), "failed", "vendor_refused"),
        (Fault(status=500, html=True), "failed", "vendor_overloaded"),
        (Fault(silent=True), "failed", "vendor_timeout"),
        (Fault(comments_s=20), "failed", "vendor_timeout"),
        (Fault(silent_after=3), "failed", "vendor_timeout"),
        (Fault(reset_after=3), "failed", "vendor_overloaded"),
        (Fault(end_after=3), "failed", "vendor_overloaded"),
        (Fault(error_after=3), "failed", "vendor_overloaded"),
        (Fault(html=True), "failed", "vendor_overloaded"),
        (Fault(split=1, crlf=True, bom=True), "done", None),
        (Fault(twice=True, usage="twice"), "done", None),
        (Fault(usage="huge"), "done", None),
    ],
    ids=str,
)
def test_every_fault_ends_the_turn_once_with_its_code(
    server: ServerProcess, vendor: OpenAISimulator, fault: Fault, status: str, code: str | None
) -> None:
    """One `turn_end`, our code, no word or key of the vendor's, and nothing charged where nothing came."""
    vendor.play(*[fault] * 3)
    device = Device(server.address).connect()
    end, text = told(device, device.ask("c-1", "hi", model="gpt-4o-mini"))
    assert end["status"] == status
    assert end.get("error", {}).get("code") == code
    assert "imulat" not in str(end)
    assert (end["charged"] > 0) == bool(text)
    left = requests.get(
        f"{server.address}/v1/auth/me", headers={"Authorization": f"Bearer {device.token}"}, timeout=10
    ).json()["quota"]["tokens"]
    assert left == 2000 - end["charged"] >= 0


def test_a_vendor_that_recovers_is_asked_again(server: ServerProcess, vendor: OpenAISimulator) -> None:
    """A 503 before the first piece is retried; the user sees one whole answer."""
    vendor.play(Fault(status=503), None)
    device = Device(server.address).connect()
    end, text = told(device, device.ask("c-1", "hi", model="gpt-4o-mini"))
    assert (end["status"], len(vendor.calls)) == ("done", 2)
    assert end["charged"] == vendor.sold[-1] + vendor.calls[-1].prompt_tokens
    assert text


def test_the_next_vendor_of_the_chain_takes_over(server: ServerProcess, vendor: OpenAISimulator) -> None:
    """A refused key passes the turn on before its first piece."""
    vendor.play(Fault(status=401), None)
    device = Device(server.address).connect()
    end, _ = told(device, device.ask("c-1", "hi", model="both"))
    assert end["status"] == "done"
    assert [call.dialect for call in vendor.calls] == ["openai", "deepseek"]


def test_a_broken_answer_goes_on_from_its_prefix(server: ServerProcess, vendor: OpenAISimulator) -> None:
    """DeepSeek is asked to continue; the text is what one unbroken answer would have been."""
    vendor.play(None)
    device = Device(server.address).connect()
    _, unbroken = told(device, device.ask("c-1", "hi", model="deepseek-chat"))
    vendor.play(Fault(reset_after=5), None)
    end, text = told(device, device.ask("c-2", "hi", model="deepseek-chat"))
    assert (end["status"], text) == ("done", unbroken)
    assert end["usage"]["estimated"]
    assert vendor.calls[-1].json["messages"][-1]["prefix"]


def test_twenty_at_once_on_an_account_for_three(server: ServerProcess, vendor: OpenAISimulator) -> None:
    """Charged is what the vendor sold; the balance never goes below zero; the others are refused with a code."""
    device = Device(server.address).connect()
    payload = {"text": "hi", "model": "gpt-4o-mini", "max_tokens": 600}
    jobs = [
        gevent.spawn(device.call, "turn_start", {**payload, "client_id": f"c-{number}"}) for number in range(20)
    ]
    gevent.joinall(jobs, raise_error=True)
    answers = [job.value for job in jobs]
    refused = {answer["error"]["code"] for answer in answers if not answer["ok"]}
    started = [answer for answer in answers if answer["ok"]]
    charged = sum(told(device, answer)[0]["charged"] for answer in started)
    assert refused == {"quota_exceeded"}
    assert 3 <= len(started) < 20
    assert charged == sum(vendor.sold) + sum(call.prompt_tokens for call in vendor.calls)
    assert Device(server.address, token=device.token).connect().welcome["quota"]["tokens"] == 2000 - charged >= 0
