"""Qwen on DashScope (Alibaba Cloud Model Studio), through its OpenAI-compatible mode."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import config
from services.providers.base import ChatRequest, ModelCard, ProviderSpec
from services.providers.openai_compatible import OpenAICompatible
from services.providers.vendor_faults import FaultMap
from services.wire.dial import DialSettings

# Windows and longest answers, rather too small than too large; the vendor's list is named in docs/providers/qwen.md.
_KNOWN = {
    "qwen-plus": ("Qwen Plus", 131_072, 8_192),
    "qwen-max": ("Qwen Max", 32_768, 8_192),
    "qwen-turbo": ("Qwen Turbo", 131_072, 8_192),
    "qwen-vl-plus": ("Qwen VL Plus", 131_072, 8_192),
}
_THINKS_ONLY = ("qwq", "qvq")

# 429 mostly means "slower", also with `insufficient_quota`, which counts tokens a minute; these mean "pay".
_FINAL = frozenset({"arrearage", "commoditynotpurchased", "prepaidbilloverdue", "postpaidbilloverdue"})
_FINAL_WORDS = ("Free allocated quota exceeded",)


@dataclass(frozen=True, slots=True)
class DashScopeSettings(DialSettings):
    """Key, address and models of DashScope."""

    api_key: str = config.setting("", "Key of DashScope, for Qwen.", env="DASHSCOPE_API_KEY", secret=True)
    base_url: str = config.setting(
        "https://dashscope.aliyuncs.com/compatible-mode/v1",
        "DashScope's address; one that ends in /api/v1 is understood too.",
        env="DASHSCOPE_BASE_URL",
    )
    model: tuple[str, ...] = config.setting(
        tuple(_KNOWN), "Models of Qwen that come first, separated by commas.", env="QWEN_MODEL"
    )


class DashScope(OpenAICompatible):
    """Source: docs/providers/qwen.md."""

    name = "dashscope"
    own_prefixes = ("qwen", "qwq", "qvq")

    def __init__(self, settings: DashScopeSettings) -> None:
        self._available = bool(settings.api_key)
        base_url = settings.base_url.rstrip("/")
        if base_url.endswith("/api/v1"):
            base_url = base_url.removesuffix("/api/v1") + "/compatible-mode/v1"
        super().__init__(
            settings,
            base_url=base_url,
            api_key=settings.api_key,
            cards=[self.card(model) for model in dict.fromkeys((*settings.model, *_KNOWN))],
            faults=FaultMap(
                self.name,
                secrets=(settings.api_key,) if settings.api_key else (),
                final=_FINAL,
                final_words=_FINAL_WORDS,
            ),
        )

    def card(self, model: str) -> ModelCard:
        title, context_tokens, max_output_tokens = _KNOWN.get(model, (model, 32_768, 8_192))
        thinks = model.startswith(_THINKS_ONLY) or "thinking" in model
        return ModelCard(
            id=model,
            name=title,
            provider=self.name,
            vendor_model=model,
            vision="-vl" in model or model.startswith("qvq"),
            reasoning=thinks,
            available=self._available,
            continues=not thinks,
            context_tokens=context_tokens,
            max_output_tokens=max_output_tokens,
        )

    def body(self, request: ChatRequest) -> dict[str, Any]:
        body = super().body(request)
        if request.prefix:  # a model does not think while it continues
            body["messages"].append({"role": "assistant", "content": request.prefix, "partial": True})
        return body


SPEC = ProviderSpec(name="dashscope", settings=DashScopeSettings, prefix="DASHSCOPE", build=DashScope, order=40)
