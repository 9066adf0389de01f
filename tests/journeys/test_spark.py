"""Spark as a user meets it: through the real server, over its WebSocket and over HTTP, told by a stock client."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
import requests

from simulators.spark import APP_ID, KEY, SECRET, SparkFault, SparkSimulator, answer_to
from tests.processes import ServerProcess
from tests.viewers import Device

HANG_UP_S = 0.2
"""Within which a stopped turn's vendor must see its connection closed."""
TOKENS = 2_000
WHOLE = "".join(answer_to("hi 世界"))


@pytest.fixture(scope="module")
def running() -> Iterator[SparkSimulator]:
    with SparkSimulator() as simulator:
        yield simulator


@pytest.fixture
def vendor(running: SparkSimulator) -> SparkSimulator:
    """The simulator, with no call remembered and no fault left over."""
    running.forget()
    return running


@pytest.fixture(scope="module", params=["socket", "http"])
def server(
    request: pytest.FixtureRequest, running: SparkSimulator, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ServerProcess]:
    """One that knows the three keys, and one that knows the password; time limits are short."""
    keys = {"SPARK_API_PASSWORD": KEY}
    if request.param == "socket":
        keys = {"SPARK_APP_ID": APP_ID, "SPARK_API_KEY": KEY, "SPARK_API_SECRET": SECRET}
    server = ServerProcess(
        tmp_path_factory.mktemp("server") / "data",
        **keys,
        SPARK_BASE_URL=running.ws_url,
        SPARK_VERSION="max",
        FIRST_PIECE_TIMEOUT_S="1",
        IDLE_TIMEOUT_S="1",
        INITIAL_TOKENS=str(TOKENS),
    ).start()
    yield server
    log = server.log.read_text()
    assert KEY not in log
    assert SECRET not in log
    server.stop()


def left(device: Device) -> int:
    bearer = {"Authorization": f"Bearer {device.token}"}
    answer = requests.get(f"{device.address}/v1/auth/me", headers=bearer, timeout=10).json()
    return int(answer["quota"]["tokens"])


@pytest.mark.parametrize(
    ("fault", "text", "reason", "code"),
    [
        (SparkFault(split=1), WHOLE, "stop", None),
        (SparkFault(twice=True), WHOLE, "stop", None),
        (SparkFault(usage="huge"), WHOLE, "stop", None),
        (SparkFault(error_after=3, code="10014"), "".join(answer_to("hi 世界")[:3]), "content_filter", None),
        (SparkFault(error_after=0, code="10013"), "", None, "content_blocked"),
        (SparkFault(error_after=0, code="11200"), "", None, "vendor_refused"),
        (SparkFault(error_after=0, code="10008"), "", None, "vendor_overloaded"),
        (SparkFault(silent=True), "", None, "vendor_timeout"),
        (SparkFault(silent_after=3), "".join(answer_to("hi 世界")[:3]), None, "vendor_timeout"),
        (SparkFault(reset_after=3), "".join(answer_to("hi 世界")[:3]), None, "vendor_overloaded"),
        (SparkFault(cut_after=3), "".join(answer_to("hi 世界")[:3]), None, "vendor_overloaded"),
        (SparkFault(bad_json_after=3), "".join(answer_to("hi 世界")[:3]), None, "vendor_overloaded"),
    ],
    ids=range(12),
)
def test_every_fault_ends_the_turn_once_with_its_code(
    server: ServerProcess,
    vendor: SparkSimulator,
    fault: SparkFault,
    text: str,
    reason: str | None,
    code: str | None,
) -> None:
    """One `turn_end`, exact text, our code, nothing of the vendor's, and nothing charged where nothing came."""
    vendor.play(*[fault] * 3)
    device = Device(server.address).connect()
    seen = device.seen(device.ask("c-1", "hi 世界", model="spark-max")["turn"])
    end = seen.whole()
    assert seen.text == text
    assert end.get("error", {}).get("code") == code
    if reason:
        assert (end["status"], end["reason"]) == ("done", reason)
    assert "imulat" not in str(end)
    assert (end["charged"] > 0) == bool(text)
    assert left(device) == TOKENS - end["charged"]


def test_what_is_charged_is_what_was_sold(server: ServerProcess, vendor: SparkSimulator) -> None:
    """To the token, also when a busy vendor was asked again."""
    vendor.play(SparkFault(error_after=0, code="11202"), None)
    device = Device(server.address).connect()
    end = device.seen(device.ask("c-1", "hi 世界", model="spark-max")["turn"]).whole()
    assert (end["status"], len(vendor.calls)) == ("done", 2)
    assert not end["usage"]["estimated"]
    assert end["charged"] == vendor.sold[-1] + vendor.calls[-1].prompt_tokens == TOKENS - left(device)


def test_a_stop_closes_the_vendors_connection(server: ServerProcess, vendor: SparkSimulator) -> None:
    """The vendor sees the hang-up at once, and the user is charged for what came."""
    vendor.play(SparkFault(pieces=10_000, rate=50))
    device = Device(server.address).connect()
    turn = device.ask("c-1", "hi", model="spark-max")["turn"]
    assert device.seen(turn).moved.wait(10)
    asked = time.monotonic()
    assert device.call("turn_stop", {"turn": turn})["status"] == "stopped"
    (call,) = vendor.calls
    assert call.hung_up.wait(5)
    assert call.hung_up_at is not None
    assert call.hung_up_at - asked < HANG_UP_S
    assert device.seen(turn).whole()["charged"] > 0
