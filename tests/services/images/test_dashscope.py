"""Drawing with DashScope against its simulator: jobs, their faults, and where their pictures may be fetched from."""

from __future__ import annotations

from collections.abc import Iterator

import gevent
import pytest

from services.errors import ChatError, ContentBlocked, VendorError, VendorOverloaded, VendorRefused, VendorTimeout
from services.events import StateChanged
from services.images.base import Drawing, DrawRequest
from services.images.dashscope import DashScopeDrawing, DashScopeDrawingSettings, Rhythm
from services.pictures.header import check
from services.wire.fetching import is_public
from simulators.openai import KEY
from simulators.wanx import WanxSimulator

QUICK = Rhythm(first_s=0.01, longest_s=0.02, limit_s=20)


@pytest.fixture
def vendor() -> Iterator[WanxSimulator]:
    with WanxSimulator() as simulator:
        yield simulator


def painter(vendor: WanxSimulator, *, key: str = KEY, rhythm: Rhythm = QUICK) -> DashScopeDrawing:
    return DashScopeDrawing(DashScopeDrawingSettings(api_key=key, base_url=vendor.base_url), rhythm)


def request(prompt: str = "a red boat", count: int = 1, model: str = "stable-diffusion-v1.5") -> DrawRequest:
    return DrawRequest(model, prompt, 96, 64, count)


def drawn(vendor: WanxSimulator, asked: DrawRequest) -> list[StateChanged | Drawing]:
    brush = painter(vendor)
    steps = list(brush.draw(asked))
    brush.close()
    return steps


@pytest.mark.parametrize("model", ["stable-diffusion-v1.5", "wanx-v1"])
def test_a_job_is_created_followed_and_fetched(vendor: WanxSimulator, model: str) -> None:
    """As the vendor wants it asked; its states are told once each; nobody is given the key along with a URL."""
    steps = drawn(vendor, request(count=2, model=model))
    assert steps[:2] == [StateChanged("queued"), StateChanged("thinking", progress=0.0)]
    pictures = [step for step in steps if isinstance(step, Drawing)]
    assert [(check(one.data).width, check(one.data).height) for one in pictures] == [(96, 64)] * 2
    (job,) = vendor.jobs.values()
    assert job.body["parameters"] == {"size": "96*64", "n": 2}
    assert (job.body["model"], job.fetched) == (model, 2)


def test_a_busy_vendor_is_asked_again(vendor: WanxSimulator) -> None:
    """503 at a look says nothing about the job."""
    assert isinstance(drawn(vendor, request("x [[fault busy=4]]"))[-1], Drawing)


def test_of_two_one_may_fail(vendor: WanxSimulator) -> None:
    steps = drawn(vendor, request("x [[fault partly]]", count=3))
    assert sum(isinstance(step, Drawing) for step in steps) == 2


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        ("status=401 code=InvalidApiKey", VendorRefused),
        ("status=403 code=Model.AccessDenied", VendorRefused),
        ("status=400 code=Arrearage", VendorRefused),
        ("status=400 code=DataInspectionFailed", ContentBlocked),
        ("status=429 code=Throttling.RateQuota", VendorOverloaded),
        ("status=500 code=InternalError", VendorOverloaded),
        ("task=FAILED code=InternalError.Algo", VendorOverloaded),
        ("task=FAILED code=DataInspectionFailed", ContentBlocked),
        ("task=FAILED code=InvalidParameter", VendorRefused),
        ("task=CANCELED", VendorRefused),
        ("task=UNKNOWN", VendorRefused),
        ("partly code=DataInspectionFailed", ContentBlocked),
        ("result=missing", VendorOverloaded),
        ("result=huge", VendorRefused),
        ("result=endless", VendorRefused),
        ("result=loop", VendorRefused),
        ("result=at=file:///etc/passwd", VendorRefused),
        ("result=at=http://93.184.216.34/x.png", VendorRefused),
        ("result=at=https://127.0.0.1:1/x.png", VendorRefused),
        ("result=at=https://localhost:1/x.png", VendorRefused),
        ("result=at=https://169.254.169.254/latest/meta-data", VendorRefused),
        ("result=https://10.0.0.1/x.png", VendorRefused),
        ("result=file:///etc/passwd", VendorRefused),
        ("result=//127.0.0.1:1/x.png", VendorRefused),
    ],
)
def test_every_fault_has_its_kind(vendor: WanxSimulator, fault: str, kind: type[ChatError]) -> None:
    """And none of them the vendor's own words."""
    with pytest.raises(VendorError) as caught:
        drawn(vendor, request(f"x [[fault {fault}]]"))
    assert type(caught.value) is kind
    assert "sk-" not in caught.value.message


def test_a_wrong_key_is_refused(vendor: WanxSimulator) -> None:
    with pytest.raises(VendorRefused):
        list(painter(vendor, key="sk-wrong").draw(request()))


def test_a_job_that_does_not_end_is_given_up(vendor: WanxSimulator) -> None:
    """In time, and the vendor is told."""
    brush = painter(vendor, rhythm=Rhythm(0.01, 0.02, limit_s=0.1))
    with pytest.raises(VendorTimeout):
        list(brush.draw(request("x [[fault task=never]]")))
    cancelled = vendor.wait_for_call(len(vendor.calls))
    with gevent.Timeout(5):
        while not any(call.request.path.endswith("/cancel") for call in vendor.calls):
            cancelled = vendor.wait_for_call(len(vendor.calls) + 1)
    assert cancelled is not None


def test_a_job_nobody_wants_any_more_is_cancelled(vendor: WanxSimulator) -> None:
    brush = painter(vendor)
    steps = brush.draw(request())
    assert next(steps) == StateChanged("queued")
    steps.close()
    vendor.wait_for_call(2)
    assert [job.cancelled for job in vendor.jobs.values()] == [True]


def test_a_name_that_leads_inside_is_found_out_when_it_is_connected_to(
    vendor: WanxSimulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever it led to when it was looked at: the address is checked in the moment of its use."""
    real = gevent.socket.getaddrinfo

    def rebound(host: str, *rest: object, **named: object) -> object:
        return real("127.0.0.1" if host == "pictures.example" else host, *rest, **named)

    monkeypatch.setattr("socket.getaddrinfo", rebound)
    with pytest.raises(VendorRefused):
        drawn(vendor, request("x [[fault result=at=https://pictures.example/x.png]]"))


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("93.184.216.34", True),
        ("2606:2800:220:1:248:1893:25c8:1946", True),
        ("127.0.0.1", False),
        ("10.1.2.3", False),
        ("192.168.1.1", False),
        ("100.64.0.1", False),
        ("169.254.169.254", False),
        ("0.0.0.0", False),
        ("224.0.0.1", False),
        ("::1", False),
        ("fe80::1%eth0", False),
        ("fd00::1", False),
        ("::ffff:10.0.0.1", False),
        ("2002:7f00:1::", False),
    ],
)
def test_which_addresses_are_public(address: str, public: bool) -> None:
    assert is_public(address) is public
