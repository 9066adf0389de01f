"""vLLM: a model server of one's own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import config
from services.providers.base import CONTEXT_TOKENS, OUTPUT_TOKENS, ModelCard, ProviderSpec
from services.providers.found_models import FoundModels
from services.providers.general_codes import ROWS
from services.providers.openai_compatible import OpenAICompatible
from services.wire.dial import DialSettings


@dataclass(frozen=True, slots=True)
class VllmSettings(DialSettings):
    """Where vLLM is."""

    base_url: str = config.setting("", "vLLM's address, as http://host:8000/v1.", env="VLLM_BASE_URL")
    api_key: str = config.setting("", "Key that vLLM was started with, if any.", env="VLLM_API_KEY", secret=True)


class Vllm(OpenAICompatible):
    """Models are called `vllm/<name>`, for their names are also those of other vendors' models."""

    name = "vllm"

    def __init__(self, settings: VllmSettings) -> None:
        base_url = settings.base_url.rstrip("/")
        if base_url and not urlsplit(base_url).path:
            base_url += "/v1"
        super().__init__(settings, base_url=base_url or "http://127.0.0.1:8000/v1", api_key=settings.api_key)
        self._found: FoundModels | None = None
        if base_url:
            self._found = FoundModels(self._http, base_url + "/models", self.headers, self._read)

    def models(self) -> tuple[ModelCard, ...]:
        return () if self._found is None else self._found.cards()

    def find(self) -> tuple[ModelCard, ...] | None:
        return None if self._found is None else self._found.find(self._faults)

    def close(self) -> None:
        if self._found is not None:
            self._found.close()
        super().close()

    def _read(self, listed: Any) -> tuple[ModelCard, ...]:
        cards = []
        for model in listed["data"]:
            context_tokens = model.get("max_model_len") or CONTEXT_TOKENS
            cards.append(
                ModelCard(
                    id=f"{self.name}/{model['id']}",
                    name=f"{model['id']} (vLLM)",
                    provider=self.name,
                    vendor_model=model["id"],
                    context_tokens=context_tokens,
                    max_output_tokens=min(OUTPUT_TOKENS, context_tokens // 2),
                )
            )
        return tuple(cards)


SPEC = ProviderSpec(name="vllm", settings=VllmSettings, prefix="VLLM", build=Vllm, order=50, faults=ROWS)
