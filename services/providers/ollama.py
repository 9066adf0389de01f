"""Ollama: models on this machine, found where it listens by default."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import config
from services.providers.base import OUTPUT_TOKENS, ModelCard, ProviderSpec
from services.providers.found_models import FoundModels
from services.providers.general_codes import ROWS
from services.providers.openai_compatible import OpenAICompatible
from services.wire.dial import DialSettings

OFF = "off"
_EMBEDS = frozenset({"bert", "nomic-bert"})
_SEES = frozenset({"clip", "mllama"})


@dataclass(frozen=True, slots=True)
class OllamaSettings(DialSettings):
    """Where Ollama is, and how much it reads."""

    base_url: str = config.setting(
        "http://127.0.0.1:11434", f"Ollama's address; {OFF} to not look for it.", env="OLLAMA_BASE_URL"
    )
    context_tokens: int = config.setting(
        4_096,
        "Tokens Ollama reads; it cuts longer prompts silently. Set it to the num_ctx its models run with.",
        env="OLLAMA_CONTEXT_TOKENS",
        minimum=512,
    )


class Ollama(OpenAICompatible):
    """Models are called `ollama/<name>`, for their names are also those of other vendors' models."""

    name = "ollama"

    def __init__(self, settings: OllamaSettings) -> None:
        self._is_off = settings.base_url.lower() == OFF
        self._context_tokens = settings.context_tokens
        root = OllamaSettings().base_url if self._is_off else settings.base_url.rstrip("/").removesuffix("/v1")
        super().__init__(settings, base_url=root + "/v1")
        self._found = FoundModels(self._http, root + "/api/tags", self.headers, self._read)

    def models(self) -> tuple[ModelCard, ...]:
        return () if self._is_off else self._found.cards()

    def find(self) -> tuple[ModelCard, ...] | None:
        return None if self._is_off else self._found.find(self._faults)

    def close(self) -> None:
        self._found.close()
        super().close()

    def _read(self, listed: Any) -> tuple[ModelCard, ...]:
        cards = []
        for model in listed["models"]:
            families = set((model.get("details") or {}).get("families") or ())
            if families and families <= _EMBEDS:
                continue
            cards.append(
                ModelCard(
                    id=f"{self.name}/{model['name']}",
                    name=f"{model['name']} (Ollama)",
                    provider=self.name,
                    vendor_model=model["name"],
                    vision=bool(families & _SEES),
                    context_tokens=self._context_tokens,
                    max_output_tokens=min(OUTPUT_TOKENS, self._context_tokens // 2),
                )
            )
        return tuple(cards)


SPEC = ProviderSpec(name="ollama", settings=OllamaSettings, prefix="OLLAMA", build=Ollama, order=60, faults=ROWS)
