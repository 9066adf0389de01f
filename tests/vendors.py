"""Every vendor's simulator, and the settings that lead to it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from types import TracebackType

from simulators.ark import ENDPOINT, ArkSimulator
from simulators.dashscope import DashScopeSimulator
from simulators.openai import KEY, OpenAISimulator
from simulators.spark import APP_ID, SECRET, SparkSimulator

Simulator = OpenAISimulator | SparkSimulator

SIMULATED: Mapping[str, Callable[[str], dict[str, str]]] = {
    "openai": lambda url: {"OPENAI_API_KEY": KEY, "OPENAI_BASE_URL": f"{url}/openai/v1"},
    "deepseek": lambda url: {"DEEPSEEK_API_KEY": KEY, "DEEPSEEK_BASE_URL": f"{url}/deepseek"},
    "dashscope": lambda url: {"DASHSCOPE_API_KEY": KEY, "DASHSCOPE_BASE_URL": f"{url}/api/v1"},
    "ollama": lambda url: {"OLLAMA_BASE_URL": f"{url}/ollama"},
    "vllm": lambda url: {"VLLM_BASE_URL": f"{url}/vllm/v1"},
    "ark": lambda url: {
        "ARK_API_KEY": KEY,
        "ARK_BASE_URL": f"{url}/api/v3",
        "ARK_ENDPOINT": f"doubao-1-5-pro-32k={ENDPOINT}",
    },
    "spark": lambda url: {
        "SPARK_APP_ID": APP_ID,
        "SPARK_API_KEY": KEY,
        "SPARK_API_SECRET": SECRET,
        "SPARK_BASE_URL": url.replace("http", "ws", 1),
    },
    "spark http": lambda url: {"SPARK_API_PASSWORD": KEY, "SPARK_BASE_URL": url},
}
SIMULATORS: Mapping[str, type[Simulator]] = {  # one for all the others
    "ark": ArkSimulator,
    "dashscope": DashScopeSimulator,
    "spark": SparkSimulator,
    "spark http": SparkSimulator,
}


def simulator_of(vendor: str) -> Simulator:
    """One that does not listen yet."""
    return SIMULATORS.get(vendor, OpenAISimulator)()


class Vendors:
    """A simulator for each vendor, all at once. Use it with `with`.

    Attributes:
        env: The settings that lead to them.
    """

    def __init__(self, names: set[str]) -> None:
        self._simulators = {name: simulator_of(name) for name in names}
        self._stack = ExitStack()
        self.env: dict[str, str] = {}

    def __getitem__(self, name: str) -> Simulator:
        return self._simulators[name]

    def forget(self) -> None:
        """Drop every call so far and what is left of the scripts."""
        for simulator in self._simulators.values():
            simulator.forget()

    def __enter__(self) -> Vendors:
        for name, simulator in self._simulators.items():
            self._stack.enter_context(simulator)
            self.env |= SIMULATED[name](simulator.url)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()
