"""The demo model: local, keyless, deterministic, without intelligence."""

from __future__ import annotations

import re
from collections.abc import Generator, Iterator
from dataclasses import dataclass

import gevent

import config
from services.clock import Clock, SystemClock
from services.errors import VendorOverloaded
from services.events import ReasoningDelta, Stop, TextDelta, Usage
from services.providers.base import ChatRequest, ModelCard, ProviderSpec
from services.providers.demo_script import Script, read_request, split

PIECES_PER_S = 45.0
SLOW_PIECES_PER_S = 5.0
_BENCHMARK_LIMITS = {"pieces": (0, 200_000), "rate": (0, 100_000), "size": (1, 4_000)}
_YIELD_EVERY = 16  # pieces of a benchmark at full speed between two looks at the other greenlets


@dataclass(frozen=True, slots=True)
class DemoSettings:
    """Which local models are listed."""

    benchmark_models: bool = config.setting(
        False, "List the models made for load tests.", env="BENCHMARK_MODELS"
    )


class Demo:
    """Answers without any service, at a pace a reader can follow.

    Its token is its piece: usage is exact by that count. It goes on from a prefix as the best vendors do.
    """

    def __init__(self, settings: DemoSettings, clock: Clock | None = None) -> None:
        self._clock = clock or SystemClock()
        self._models: tuple[ModelCard, ...] = (
            ModelCard(id="demo", name="Demo", provider="demo", vendor_model="demo", reasoning=True, continues=True),
        )
        if settings.benchmark_models:
            self._models += (
                ModelCard(
                    id="benchmark",
                    name="Benchmark",
                    provider="demo",
                    vendor_model="benchmark",
                    max_output_tokens=200_000,
                ),
            )

    def models(self) -> tuple[ModelCard, ...]:
        return self._models

    def stream(self, request: ChatRequest) -> Generator[TextDelta | ReasoningDelta | Stop, None, None]:
        question = next((message.text for message in reversed(request.messages) if message.role == "user"), "")
        prompt_tokens = sum(1 for message in request.messages for _ in split(message.text))
        limit = request.max_tokens
        if request.model == "benchmark":
            yield from self._benchmark(question, prompt_tokens, limit)
        else:
            yield from self._answer(read_request(question), request.prefix, prompt_tokens, limit)

    def close(self) -> None:
        """Nothing is held."""

    def _answer(
        self, script: Script, prefix: str, prompt_tokens: int, limit: int | None
    ) -> Generator[TextDelta | ReasoningDelta | Stop, None, None]:
        pace = self._pace(SLOW_PIECES_PER_S if script.slow else PIECES_PER_S)
        if script.fails_after == 0:
            next(pace)
            raise VendorOverloaded("The demo model was asked to fail.")
        sold = 0
        reasoning = "" if prefix else script.reasoning
        for kind, text in ((ReasoningDelta, reasoning), (TextDelta, script.text.removeprefix(prefix))):
            for piece in split(text):
                if sold == limit:
                    yield Stop("length", Usage(prompt_tokens, sold))
                    return
                next(pace)
                sold += 1
                yield kind(piece)
                if sold == script.fails_after:
                    raise VendorOverloaded("The demo model was asked to fail midway.")
        yield Stop("stop", Usage(prompt_tokens, sold))

    def _benchmark(
        self, question: str, prompt_tokens: int, limit: int | None
    ) -> Generator[TextDelta | ReasoningDelta | Stop, None, None]:
        """`pieces=500 rate=50 size=4`: so many numbered pieces, a second, of so many letters; rate 0 is full speed."""
        asked = {"pieces": 500, "rate": 50, "size": 4}
        for name, value in re.findall(r"\b(pieces|rate|size)=(\d{1,9})\b", question):
            low, high = _BENCHMARK_LIMITS[name]
            asked[name] = min(max(int(value), low), high)
        count = asked["pieces"] if limit is None else min(asked["pieces"], limit)
        size = asked["size"]
        pace = self._pace(asked["rate"])
        for number in range(count):
            next(pace)
            yield TextDelta(f"{number:0{size - 1}d}"[-(size - 1) :] + " " if size > 1 else str(number % 10))
        yield Stop("stop" if count == asked["pieces"] else "length", Usage(prompt_tokens, count))

    def _pace(self, per_s: float) -> Iterator[None]:
        """Wait before each piece so that they keep to the rate on average; always lets others run."""
        if per_s <= 0:
            while True:
                gevent.sleep(0)
                for _ in range(_YIELD_EVERY):
                    yield
        started = self._clock.monotonic()
        due = 0
        while True:
            gevent.sleep(max(0.0, started + due / per_s - self._clock.monotonic()))
            due += 1
            yield


SPEC = ProviderSpec(name="demo", settings=DemoSettings, prefix="DEMO", build=Demo, order=1000)
