"""The contract between a turn and a model vendor."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, runtime_checkable

from services.events import ReasoningDelta, Stop, TextDelta
from services.providers.advice import Advice

CONTEXT_TOKENS = 32_768  # of a model about which nothing is known
OUTPUT_TOKENS = 4_096


@dataclass(frozen=True, slots=True)
class ChatMessage:
    """One message of the prompt. `pictures` holds data URLs, for models that see."""

    role: Literal["system", "user", "assistant"]
    text: str
    pictures: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """What is asked of a vendor.

    Attributes:
        model: The vendor's own model name.
        messages: Oldest first; a system message, if any, is the first.
        prefix: Answer text already shown; the provider goes on after it without repeating it. Only given to
            providers whose card says `continues`.
        max_tokens: Upper bound of the completion; None leaves it to the vendor.
        user: An opaque id of the end user, for vendors that want one.
    """

    model: str
    messages: tuple[ChatMessage, ...]
    temperature: float | None = None
    top_p: float | None = None
    max_tokens: int | None = None
    prefix: str = ""
    user: str = ""


@dataclass(frozen=True, slots=True)
class ModelCard:
    """A model as users see it.

    Attributes:
        id: Public id, unique over all providers.
        name: What the picker shows.
        provider: The provider's name, as in its `SPEC`.
        vendor_model: The vendor's name for it.
        context_tokens: Prompt and answer together.
        max_output_tokens: The longest answer, used for the reservation when a client gives no `max_tokens`.
        continues: True when the vendor can go on from a prefix of the answer.
        available: False when no key is set.
    """

    id: str
    name: str
    provider: str
    vendor_model: str
    vision: bool = False
    reasoning: bool = False
    available: bool = True
    continues: bool = False
    context_tokens: int = CONTEXT_TOKENS
    max_output_tokens: int = OUTPUT_TOKENS

    def to_wire(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "name": self.name,
            "provider": self.provider,
            "vision": self.vision,
            "reasoning": self.reasoning,
            "available": self.available,
        }


class ChatProvider(Protocol):
    """One vendor."""

    def models(self) -> tuple[ModelCard, ...]:
        """What it serves, available or not. Never touches the network."""

    def stream(self, request: ChatRequest) -> Generator[TextDelta | ReasoningDelta | Stop, None, None]:
        """Yield pieces as they arrive, then exactly one `Stop`. Closing the generator hangs up.

        Runs in the turn's greenlet, which another greenlet may throw into at any network wait; whatever is
        thrown must leave the connection closed (`with`), and must not be swallowed.

        Raises:
            VendorError: One of its kinds. Whether pieces came before it is for the caller to remember; an
                answer that breaks off without a finish reason is `VendorOverloaded`.
        """

    def close(self) -> None:
        """Let idle connections go; streams that run are their readers' to end."""


@runtime_checkable
class AdoptsModels(Protocol):
    """A provider whose vendor may serve more than is listed."""

    def adopt(self, model_id: str) -> bool:
        """List a model that the operator named; False when it is not this vendor's.

        Called while the server starts only. Never touches the network.
        """


@runtime_checkable
class FindsModels(Protocol):
    """A provider that asks its vendor which models there are; `models` lists what it found last."""

    def find(self) -> tuple[ModelCard, ...] | None:
        """Ask now, and wait for the answer; None when there is nobody to ask.

        Raises:
            VendorError: It could not be asked, or did not tell.
        """


@dataclass(frozen=True, slots=True)
class ProviderSpec:
    """How a provider is found and built.

    Attributes:
        name: The provider's name in model cards, logs and metrics.
        settings: A frozen dataclass of `config.setting` fields.
        prefix: Of its environment variables, `DEEPSEEK` for `DEEPSEEK_API_KEY`.
        build: Makes the provider from its settings.
        order: Lower comes first where the default model is chosen among available ones.
        faults: What the vendor's codes mean, for `docs/providers/faults.md`; empty where there is no vendor.
    """

    name: str
    settings: type
    prefix: str
    build: Callable[[Any], ChatProvider]
    order: int = 100
    faults: Mapping[str, Advice] = field(default_factory=dict, repr=False)
