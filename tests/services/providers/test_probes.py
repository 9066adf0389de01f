"""Asking vendors for a few words: what the doctor cannot wait for."""

from __future__ import annotations

import pytest

from services.errors import VendorTimeout
from services.providers import probes
from services.providers.base import ProviderSpec
from services.providers.openai import SPEC
from services.providers.probes import Probed
from simulators.faults import Fault
from simulators.openai import KEY, OpenAISimulator
from tests.services.providers.scripted import ScriptedProvider


def probed(*specs: ProviderSpec, **env: str) -> list[Probed]:
    return list(probes.probes(specs, env, offline=False))


def test_a_silent_vendor_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Within the limit, which its sentence names, and hung up on."""
    monkeypatch.setattr(probes, "ASK_S", 0.05)
    with OpenAISimulator(script=[Fault(silent=True)]) as simulator:
        (found,) = probed(SPEC, OPENAI_API_KEY=KEY, OPENAI_BASE_URL=simulator.base_url)
        assert simulator.calls[0].hung_up.wait(1)
    assert found.fault is not None
    assert found.fault[0].startswith("It did not begin to answer within 10 s")


@pytest.mark.parametrize(("error", "words"), [(VendorTimeout("late"), "did not begin"), (KeyError("x"), "KeyError")])
def test_a_fault_without_a_row_is_told_by_its_kind(error: Exception, words: str) -> None:
    """A fault of an adapter's own does not hide what the others say, nor does it show what it holds."""
    broken = ScriptedProvider("broken", [error])
    spec = ProviderSpec(name="broken", settings=SPEC.settings, prefix="", build=lambda _: broken)
    (found,) = probed(spec, OPENAI_API_KEY="k")
    assert found.fault is not None
    assert words in found.fault[0]


def test_only_what_is_set_up_is_asked() -> None:
    """The shared settings of all vendors do not count."""
    assert probed(SPEC, HTTP_PROXY="http://proxy:1", CONNECT_TIMEOUT_S="1") == []
