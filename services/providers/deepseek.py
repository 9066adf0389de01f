"""DeepSeek: a chat model that can go on from a prefix, and a reasoner."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import config
from services.providers.base import ChatRequest, ModelCard, ProviderSpec
from services.providers.general_codes import ROWS
from services.providers.openai_compatible import OpenAICompatible
from services.wire.dial import DialSettings

# Longest answers, rather too small than too large; the vendor's list is named in docs/providers/deepseek.md.
_KNOWN = {
    "deepseek-chat": ("DeepSeek Chat", 8_192),
    "deepseek-reasoner": ("DeepSeek Reasoner", 32_768),
}


@dataclass(frozen=True, slots=True)
class DeepSeekSettings(DialSettings):
    """Key, address and models of DeepSeek."""

    api_key: str = config.setting("", "Key of DeepSeek.", env="DEEPSEEK_API_KEY", secret=True)
    base_url: str = config.setting(
        "https://api.deepseek.com", "DeepSeek's address, with or without /v1.", env="DEEPSEEK_BASE_URL"
    )
    model: tuple[str, ...] = config.setting(
        tuple(_KNOWN), "Models of DeepSeek that come first, separated by commas.", env="DEEPSEEK_MODEL"
    )


class DeepSeek(OpenAICompatible):
    """Source: docs/providers/deepseek.md."""

    name = "deepseek"
    own_prefixes = ("deepseek-",)

    def __init__(self, settings: DeepSeekSettings) -> None:
        self._available = bool(settings.api_key)
        super().__init__(
            settings,
            base_url=settings.base_url,
            api_key=settings.api_key,
            cards=[self.card(model) for model in dict.fromkeys((*settings.model, *_KNOWN))],
        )

    def card(self, model: str) -> ModelCard:
        title, max_output_tokens = _KNOWN.get(model, (model, 8_192))
        reasons = _reasons(model)
        return ModelCard(
            id=model,
            name=title,
            provider=self.name,
            vendor_model=model,
            reasoning=reasons,
            available=self._available,
            continues=not reasons,
            context_tokens=128_000,
            max_output_tokens=max_output_tokens,
        )

    def url(self, request: ChatRequest) -> str:
        if request.prefix:  # continuation is served under /beta only
            root = self._base_url.removesuffix("/beta").removesuffix("/v1")
            return root + "/beta/chat/completions"
        return super().url(request)

    def body(self, request: ChatRequest) -> dict[str, Any]:
        body = super().body(request)
        if request.prefix:
            body["messages"].append({"role": "assistant", "content": request.prefix, "prefix": True})
        if _reasons(request.model):  # it ignores them; newer versions may not
            body.pop("temperature", None)
            body.pop("top_p", None)
        return body


def _reasons(model: str) -> bool:
    return "reasoner" in model


SPEC = ProviderSpec(
    name="deepseek", settings=DeepSeekSettings, prefix="DEEPSEEK", build=DeepSeek, order=30, faults=ROWS
)
