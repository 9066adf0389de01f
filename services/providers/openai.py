"""OpenAI, and any server at `OPENAI_BASE_URL` that speaks its language."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import config
from services.providers.base import CONTEXT_TOKENS, OUTPUT_TOKENS, ChatRequest, ModelCard, ProviderSpec
from services.providers.general_codes import ROWS
from services.providers.openai_compatible import OpenAICompatible
from services.wire.dial import DialSettings

ADDRESS = "https://api.openai.com/v1"

# Windows and longest answers, rather too small than too large; the vendor's list is named in docs/providers/openai.md.
_KNOWN = {
    "gpt-4o-mini": ("GPT-4o mini", 128_000, 16_384),
    "gpt-4o": ("GPT-4o", 128_000, 16_384),
    "gpt-4.1-mini": ("GPT-4.1 mini", 1_000_000, 32_768),
    "gpt-4.1": ("GPT-4.1", 1_000_000, 32_768),
}
_SEES = ("gpt-4o", "gpt-4.1", "gpt-5", "o1", "o3", "o4", "chatgpt-4o")
# These want `max_completion_tokens` and refuse sampling parameters.
_THINKS = ("o1", "o3", "o4", "gpt-5")


@dataclass(frozen=True, slots=True)
class OpenAISettings(DialSettings):
    """Key, address and models of OpenAI or of a server like it."""

    api_key: str = config.setting(
        "", "Key of OpenAI; may be left out with a server of your own.", env="OPENAI_API_KEY", secret=True
    )
    base_url: str = config.setting(
        ADDRESS, "Where OpenAI's language is spoken, up to and with /v1.", env="OPENAI_BASE_URL"
    )
    model: tuple[str, ...] = config.setting(
        tuple(_KNOWN), "Models offered, separated by commas, the preferred one first.", env="OPENAI_MODEL"
    )


class OpenAI(OpenAICompatible):
    """OpenAI's own models, or whatever the server at `OPENAI_BASE_URL` serves."""

    name = "openai"
    own_prefixes = ("gpt-", "chatgpt-", "o1", "o3", "o4")

    def __init__(self, settings: OpenAISettings) -> None:
        self._is_own_server = settings.base_url.rstrip("/") != ADDRESS
        self._available = bool(settings.api_key) or self._is_own_server
        super().__init__(
            settings,
            base_url=settings.base_url,
            api_key=settings.api_key,
            cards=[self.card(model) for model in settings.model],
        )

    def adopt(self, model_id: str) -> bool:
        if self._is_own_server:  # nobody knows what it serves better than the operator
            self._cards += (self.card(model_id),)
            return True
        return super().adopt(model_id)

    def card(self, model: str) -> ModelCard:
        title, context_tokens, max_output_tokens = _KNOWN.get(model, (model, 128_000, 16_384))
        if self._is_own_server and model not in _KNOWN:
            context_tokens, max_output_tokens = CONTEXT_TOKENS, OUTPUT_TOKENS
        return ModelCard(
            id=model,
            name=title,
            provider=self.name,
            vendor_model=model,
            vision=model.startswith(_SEES),
            reasoning=model.startswith(_THINKS),
            available=self._available,
            context_tokens=context_tokens,
            max_output_tokens=max_output_tokens,
        )

    def body(self, request: ChatRequest) -> dict[str, Any]:
        body = super().body(request)
        if request.user and not self._is_own_server:
            body["user"] = request.user
        if request.model.startswith(_THINKS):
            body.pop("temperature", None)
            body.pop("top_p", None)
            if "max_tokens" in body:
                body["max_completion_tokens"] = body.pop("max_tokens")
        return body


SPEC = ProviderSpec(name="openai", settings=OpenAISettings, prefix="OPENAI", build=OpenAI, order=20, faults=ROWS)
