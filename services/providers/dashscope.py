"""Qwen on DashScope (Alibaba Cloud Model Studio, 百炼), and an application made there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import config
from services.providers.base import ChatRequest, ModelCard, ProviderSpec
from services.providers.dashscope_application import Application
from services.providers.dashscope_faults import ROWS, DashScopeFaults
from services.providers.dashscope_native import Answer, DashScopeNative, sees_pictures
from services.providers.openai_compatible import OpenAICompatible, checked_key, checked_url
from services.wire.dial import DialSettings

# Windows and longest answers, rather too small than too large; the vendor's list is named in docs/providers/qwen.md.
_KNOWN = {
    "qwen-plus": ("Qwen Plus", 131_072, 8_192),
    "qwen-max": ("Qwen Max", 32_768, 8_192),
    "qwen-turbo": ("Qwen Turbo", 131_072, 8_192),
    "qwen-vl-plus": ("Qwen VL Plus", 131_072, 8_192),
}
_THINKS_ONLY = ("qwq", "qvq")
_NATIVE, _COMPATIBLE = "/api/v1", "/compatible-mode/v1"

APPLICATION = "bailian-app"
"""The model id of the operator's application; `APP_ID` itself is not told."""


@dataclass(frozen=True, slots=True)
class DashScopeSettings(DialSettings):
    """Key, address and models of DashScope."""

    api_key: str = config.setting(
        "", "Key of DashScope, for Qwen; API_KEY is read too.", env="DASHSCOPE_API_KEY", also="API_KEY", secret=True
    )
    base_url: str = config.setting(
        "https://dashscope.aliyuncs.com/api/v1",
        "DashScope's address; one that ends in /compatible-mode/v1 is spoken to in OpenAI's shape.",
        env="DASHSCOPE_BASE_URL",
    )
    workspace: str = config.setting(
        "", "Workspace of Model Studio; empty for the key's own.", env="DASHSCOPE_WORKSPACE"
    )
    model: tuple[str, ...] = config.setting(
        tuple(_KNOWN), "Models of Qwen that come first, separated by commas.", env="QWEN_MODEL"
    )
    app_id: str = config.setting(
        "", "A Bailian application, offered as the model bailian-app; empty for none.", env="APP_ID"
    )


class DashScope:
    """Asks in DashScope's own protocol, or in OpenAI's shape where the address says so.

    Source: docs/providers/qwen.md.
    """

    name = "dashscope"
    own_prefixes = ("qwen", "qwq", "qvq")

    def __init__(self, settings: DashScopeSettings) -> None:
        base_url = checked_url(settings.base_url, self.name)
        key = checked_key(settings.api_key, self.name)
        if not urlsplit(base_url).path:
            base_url += _NATIVE
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        headers |= _workspace_header(settings.workspace)
        self._available = bool(key)
        self._faults = DashScopeFaults(self.name, secrets=(key,) if key else ())
        native_url = base_url.removesuffix(_COMPATIBLE) + _NATIVE if base_url.endswith(_COMPATIBLE) else base_url
        self._native = DashScopeNative(settings, base_url=native_url, headers=headers, faults=self._faults)
        self._qwen: DashScopeNative | _Compatible = self._native
        if not base_url.endswith(_NATIVE):
            self._qwen = _Compatible(settings, base_url, headers, self._faults)
        self._application: Application | None = None
        self._cards = tuple(self.card(model) for model in dict.fromkeys((*settings.model, *_KNOWN)))
        if settings.app_id:
            if not native_url.endswith(_NATIVE):
                raise config.ConfigError("APP_ID needs a DASHSCOPE_BASE_URL that ends in /api/v1.")
            self._application = Application(self._native, settings.app_id)
            self._cards = (self._application_card(), *self._cards)

    def models(self) -> tuple[ModelCard, ...]:
        return self._cards

    def adopt(self, model_id: str) -> bool:
        if not model_id.startswith(self.own_prefixes):
            return False
        self._cards += (self.card(model_id),)
        return True

    def stream(self, request: ChatRequest) -> Answer:
        if self._application is not None and request.model == APPLICATION:
            return self._application.stream(request)
        return self._qwen.stream(request)

    def close(self) -> None:
        self._qwen.close()
        self._native.close()

    def card(self, model: str) -> ModelCard:
        """What is known of a model by its vendor's name."""
        title, context_tokens, max_output_tokens = _KNOWN.get(model, (model, 32_768, 8_192))
        thinks = model.startswith(_THINKS_ONLY) or "thinking" in model
        return ModelCard(
            id=model,
            name=title,
            provider=self.name,
            vendor_model=model,
            vision=sees_pictures(model),
            reasoning=thinks,
            available=self._available,
            continues=not thinks,
            context_tokens=context_tokens,
            max_output_tokens=max_output_tokens,
        )

    def _application_card(self) -> ModelCard:
        return ModelCard(
            id=APPLICATION,
            name="Bailian 百炼",
            provider=self.name,
            vendor_model=APPLICATION,
            available=self._available,
        )


class _Compatible(OpenAICompatible):
    """Qwen in OpenAI's shape."""

    name = "dashscope"

    def __init__(
        self, settings: DialSettings, base_url: str, headers: Mapping[str, str], faults: DashScopeFaults
    ) -> None:
        super().__init__(settings, base_url=base_url, faults=faults)
        self._own_headers = headers

    def headers(self) -> dict[str, str]:
        return {**super().headers(), **self._own_headers}

    def body(self, request: ChatRequest) -> dict[str, Any]:
        body = super().body(request)
        if request.prefix:  # a model does not think while it continues
            body["messages"].append({"role": "assistant", "content": request.prefix, "partial": True})
        return body


def _workspace_header(workspace: str) -> dict[str, str]:
    if not (workspace.isascii() and workspace.isprintable()) or " " in workspace:
        raise config.ConfigError(
            "DASHSCOPE_WORKSPACE holds letters that no workspace has.",
            "DASHSCOPE_WORKSPACE 含有业务空间 ID 中不会有的字符。",
        )
    return {"X-DashScope-WorkSpace": workspace} if workspace else {}


SPEC = ProviderSpec(
    name="dashscope", settings=DashScopeSettings, prefix="DASHSCOPE", build=DashScope, order=40, faults=ROWS
)
