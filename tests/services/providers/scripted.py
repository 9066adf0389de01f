"""A provider that does what a test wrote down, attempt by attempt."""

from __future__ import annotations

from collections.abc import Generator

from services.events import ReasoningDelta, Stop, TextDelta
from services.providers.base import ChatMessage, ChatRequest, ModelCard

Step = TextDelta | ReasoningDelta | Stop | BaseException

REQUEST = ChatRequest(model="", messages=(ChatMessage("user", "hello"),))


class ScriptedProvider:
    """Each call of `stream` plays the next script; `asked` and `closed` tell what happened."""

    def __init__(self, name: str, *scripts: list[Step], continues: bool = False, available: bool = True) -> None:
        self.card = ModelCard(
            id=name, name=name, provider=name, vendor_model=f"vendor-{name}", continues=continues, available=available
        )
        self._scripts = list(scripts)
        self.asked: list[ChatRequest] = []
        self.closed = 0

    def models(self) -> tuple[ModelCard, ...]:
        return (self.card,)

    def stream(self, request: ChatRequest) -> Generator[TextDelta | ReasoningDelta | Stop, None, None]:
        self.asked.append(request)
        try:
            for step in self._scripts.pop(0):
                if isinstance(step, BaseException):
                    raise step
                yield step
        finally:
            self.closed += 1

    def close(self) -> None:
        """Nothing is held."""
