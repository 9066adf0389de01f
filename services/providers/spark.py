"""Spark (iFlytek): a signed WebSocket, or its HTTP endpoint where only a password is set."""

from __future__ import annotations

from dataclasses import dataclass

import config
from services.clock import Clock, SystemClock
from services.errors import VendorRefused
from services.providers.base import ChatRequest, ModelCard, ProviderSpec
from services.providers.openai_compatible import Answer
from services.providers.spark_codes import TABLE
from services.providers.spark_faults import SparkFaults
from services.providers.spark_http import SparkHttp
from services.providers.spark_socket import SparkSocket
from services.providers.spark_versions import VERSIONS, Version, version_of
from services.wire.dial import DialSettings, check_url

SOCKET_URL = "wss://spark-api.xf-yun.com"
HTTP_URL = "https://spark-api-open.xf-yun.com"

_TO_HTTP = {"ws": "http", "wss": "https"}
_TO_SOCKET = {"http": "ws", "https": "wss"}


@dataclass(frozen=True, slots=True)
class SparkSettings(DialSettings):
    """Keys, address and versions of Spark."""

    app_id: str = config.setting("", "APPID of Spark; needs the key and the secret too.", env="SPARK_APP_ID")
    api_key: str = config.setting("", "APIKey of Spark.", env="SPARK_API_KEY", secret=True)
    api_secret: str = config.setting("", "APISecret of Spark.", env="SPARK_API_SECRET", secret=True)
    api_password: str = config.setting(
        "",
        "APIPassword of Spark's HTTP endpoint, used when the three others are not set.",
        env="SPARK_API_PASSWORD",
        secret=True,
    )
    version: tuple[str, ...] = config.setting(
        ("lite",),
        f"Versions of Spark that come first, separated by commas: {', '.join(VERSIONS)}.",
        env="SPARK_VERSION",
    )
    base_url: str = config.setting(
        SOCKET_URL, "Spark's address, for a mirror; https:// in its place for HTTP.", env="SPARK_BASE_URL"
    )


class Spark:
    """Source: docs/providers/spark.md."""

    name = "spark"

    def __init__(self, settings: SparkSettings, clock: Clock | None = None) -> None:
        clock = clock or SystemClock()
        _check(settings)
        secrets = (settings.app_id, settings.api_key, settings.api_secret, settings.api_password)
        faults = SparkFaults(self.name, secrets=tuple(filter(None, secrets)), clock=clock)
        self._socket: SparkSocket | None = None
        self._http: SparkHttp | None = None
        if settings.app_id and settings.api_key and settings.api_secret:
            self._socket = SparkSocket(
                settings,
                base_url=_with_scheme(settings.base_url, _TO_SOCKET),
                app_id=settings.app_id,
                api_key=settings.api_key,
                api_secret=settings.api_secret,
                faults=faults,
                clock=clock,
            )
        elif settings.api_password:
            base_url = HTTP_URL if settings.base_url == SOCKET_URL else _with_scheme(settings.base_url, _TO_HTTP)
            self._http = SparkHttp(settings, base_url=base_url, password=settings.api_password, faults=faults)
        first = [_known(name) for name in settings.version]
        rest = [version for version in VERSIONS.values() if not version.is_retired]
        self._cards = tuple(self._card(version) for version in dict.fromkeys([*first, *rest]))

    def models(self) -> tuple[ModelCard, ...]:
        return self._cards

    def adopt(self, model_id: str) -> bool:
        version = version_of(model_id.removeprefix("spark-")) if model_id.startswith("spark-") else None
        if version is None or version.model_id != model_id:
            return False
        self._cards += (self._card(version),)
        return True

    def stream(self, request: ChatRequest) -> Answer:
        version = VERSIONS[request.model]
        if self._socket is not None:
            return self._socket.stream(request, version)
        if self._http is not None:
            return self._http.ask(request, version)
        raise VendorRefused("Spark has no key here: set SPARK_APP_ID, SPARK_API_KEY and SPARK_API_SECRET.")

    def close(self) -> None:
        if self._http is not None:
            self._http.close()

    def _card(self, version: Version) -> ModelCard:
        return ModelCard(
            id=version.model_id,
            name=version.name,
            provider=self.name,
            vendor_model=version.key,
            reasoning=version.reasons,
            available=self._socket is not None or self._http is not None,
            context_tokens=version.context_tokens,
            max_output_tokens=version.max_output_tokens,
        )


def _check(settings: SparkSettings) -> None:
    """Refuse what can never work, and name the variable."""
    keys = {
        "SPARK_APP_ID": settings.app_id,
        "SPARK_API_KEY": settings.api_key,
        "SPARK_API_SECRET": settings.api_secret,
    }
    missing = [name for name, value in keys.items() if not value]
    if missing and len(missing) < len(keys) and not settings.api_password:
        raise config.ConfigError(
            f"{missing[0]} must be set too: SPARK_APP_ID, SPARK_API_KEY and SPARK_API_SECRET belong together.",
            f"{missing[0]} 也必须设置：SPARK_APP_ID、SPARK_API_KEY 与 SPARK_API_SECRET 缺一不可。",
        )
    for name, value in {**keys, "SPARK_API_PASSWORD": settings.api_password}.items():
        if not (value.isascii() and value.isprintable()) or " " in value or '"' in value:
            raise config.ConfigError(f"{name} holds letters that no key has.", f"{name} 含有密钥中不会出现的字符。")
    if not check_url(settings.base_url, ("ws", "wss", "http", "https")):
        raise config.ConfigError(
            "SPARK_BASE_URL must be a wss://, ws://, https:// or http:// address.",
            "SPARK_BASE_URL 应为 wss://、ws://、https:// 或 http:// 地址。",
        )


def _known(name: str) -> Version:
    version = version_of(name)
    if version is None:
        raise config.ConfigError(
            f"SPARK_VERSION must be one of {', '.join(VERSIONS)}, not {name!r}.",
            f"SPARK_VERSION 应为以下之一：{', '.join(VERSIONS)}，而不是 {name!r}。",
        )
    return version


def _with_scheme(base_url: str, schemes: dict[str, str]) -> str:
    """The same address in the other of its two languages, without its last slash."""
    scheme, colon, rest = base_url.partition(":")
    return (schemes.get(scheme.lower(), scheme) + colon + rest).rstrip("/")


SPEC = ProviderSpec(name="spark", settings=SparkSettings, prefix="SPARK", build=Spark, order=45, faults=TABLE)
