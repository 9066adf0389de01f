"""Volcengine Ark (火山方舟): Doubao and others behind endpoints of one's own."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import config
from services.clock import Clock, SystemClock
from services.providers.ark_contexts import ContextMemory
from services.providers.ark_faults import ROWS, ArkFaults
from services.providers.ark_reader import ArkReader
from services.providers.ark_turns import ArkTurns
from services.providers.base import CONTEXT_TOKENS, OUTPUT_TOKENS, ChatRequest, ModelCard, ProviderSpec
from services.providers.openai_compatible import Answer, OpenAICompatible
from services.wire.dial import DialSettings

_WINDOW = re.compile(r"-(\d+)k\b")
_THINK = ("thinking", "doubao-seed", "deepseek-r1")
_SEE = ("vision", "doubao-seed-1-6", "doubao-seed-1-8")
_CONTINUE = ("doubao-1-5-pro", "doubao-1-5-lite", "doubao-pro", "doubao-lite")


@dataclass(frozen=True, slots=True)
class ArkSettings(DialSettings):
    """Key, address and endpoints of Volcengine Ark."""

    api_key: str = config.setting("", "Key of Volcengine Ark, for Doubao.", env="ARK_API_KEY", secret=True)
    base_url: str = config.setting(
        "https://ark.cn-beijing.volces.com/api/v3", "Ark's address; each region has its own.", env="ARK_BASE_URL"
    )
    endpoint: tuple[str, ...] = config.setting(
        ("doubao-1-5-pro-32k-250115",),
        "Endpoints (ep-...) or opened models of Ark, separated by commas; model=ep-... tells which model an endpoint"
        " has, and so its name and abilities.",
        env="ARK_ENDPOINT",
    )
    context: bool = config.setting(
        False, "Keep conversations in Ark's session contexts, which cost by the hour.", env="ARK_CONTEXT"
    )


class Ark(OpenAICompatible):
    """Source: docs/providers/ark.md."""

    name = "ark"
    own_prefixes = ("ep-", "doubao-")

    def __init__(self, settings: ArkSettings, clock: Clock | None = None) -> None:
        self._available = bool(settings.api_key)
        faults = ArkFaults(self.name, secrets=(settings.api_key,) if settings.api_key else ())
        super().__init__(
            settings,
            base_url=settings.base_url,
            api_key=settings.api_key,
            cards=[self._card(*_split(entry)) for entry in dict.fromkeys(settings.endpoint)],
            faults=faults,
        )
        self._ark_faults = faults
        clock = clock or SystemClock()
        self._turns = (
            ArkTurns(
                memory=ContextMemory(clock),
                clock=clock,
                http=self._http,
                faults=faults,
                base_url=self._base_url,
                headers=self.headers,
                body=self.body,
                ask=self._ask,
            )
            if settings.context
            else None
        )

    def card(self, model: str) -> ModelCard:
        return self._card(model, model)

    def stream(self, request: ChatRequest) -> Answer:
        # Contexts are for endpoints only, and what they do with pictures is not documented.
        has_pictures = any(message.pictures for message in request.messages)
        if self._turns is None or has_pictures or not request.model.startswith("ep-"):
            return self._ask(self.url(request), self.body(request), ArkReader(self._ark_faults))
        return self._turns.stream(request)

    def body(self, request: ChatRequest) -> dict[str, Any]:
        body = super().body(request)
        if request.prefix:  # a last message of the assistant's is gone on from
            body["messages"].append({"role": "assistant", "content": request.prefix})
        return body

    def _card(self, model: str, endpoint: str) -> ModelCard:
        """A card by what the model's name tells. Of an unnamed endpoint nothing is known, so little is promised."""
        known = model.lower().replace(".", "-")
        thinks = any(part in known for part in _THINK)
        sees = any(part in known for part in _SEE)
        told = _WINDOW.search(known)
        window = int(told.group(1)) * 1024 if told else 131_072 if thinks else CONTEXT_TOKENS
        longest = 8_192 if thinks or known.startswith("doubao-1-5") else OUTPUT_TOKENS
        return ModelCard(
            id=model,
            name=f"Doubao {model}" if model.startswith("ep-") else model,
            provider=self.name,
            vendor_model=endpoint,
            vision=sees,
            reasoning=thinks,
            available=self._available,
            continues=known.startswith(_CONTINUE) and not thinks and not sees,
            context_tokens=window,
            max_output_tokens=min(longest, window // 2),
        )


def _split(entry: str) -> tuple[str, str]:
    """Public name and endpoint of one entry of ARK_ENDPOINT."""
    model, _, endpoint = (part.strip() for part in entry.rpartition("="))
    if not endpoint or not endpoint.isascii() or " " in endpoint or ("=" in entry and not model):
        raise config.ConfigError(
            f"ARK_ENDPOINT must read ep-... or model=ep-..., not {entry!r}.",
            f"ARK_ENDPOINT 应写成 ep-… 或 模型名=ep-…，而不是 {entry!r}。",
        )
    if endpoint.startswith("bot-"):
        raise config.ConfigError(
            f"ARK_ENDPOINT must name endpoints or models; {endpoint} is an application, which is not served.",
            f"ARK_ENDPOINT 只能写接入点或模型；{endpoint} 是应用，不受支持。",
        )
    return model or endpoint, endpoint


SPEC = ProviderSpec(name="ark", settings=ArkSettings, prefix="ARK", build=Ark, order=50, faults=ROWS)
