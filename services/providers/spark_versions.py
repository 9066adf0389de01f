"""The versions of Spark: where each is served, by which name, and how much it takes."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Version:
    """One of Spark's models. Path and domain belong together: a wrong pair is refused.

    Attributes:
        key: Its name in `SPARK_VERSION`.
        path: Of the WebSocket.
        domain: The model's name inside a request.
        also: Other names people have for it.
        http_path: Of the HTTP endpoint.
        context_tokens: What the vendor takes as prompt; the answer comes on top, so there is room to spare.
        has_system: It takes system messages, which the vendor says of Max, Ultra and later only.
        is_retired: Listed only where the owner names it.
    """

    key: str
    name: str
    path: str
    domain: str
    context_tokens: int
    max_output_tokens: int = 8_192
    also: tuple[str, ...] = ()
    http_path: str = "/v1/chat/completions"
    has_system: bool = False
    reasons: bool = False
    is_retired: bool = False

    @property
    def model_id(self) -> str:
        return f"spark-{self.key}"


# Windows and longest answers, rather too small than too large. Source: docs/providers/spark.md.
_ALL = (
    Version("lite", "Spark Lite", "/v1.1/chat", "lite", 8_192, 4_096, also=("general", "v1.1", "1.1", "v1.5")),
    Version("ultra", "Spark 4.0 Ultra", "/v4.0/chat", "4.0Ultra", 8_192, 4_096, also=("v4.0", "4.0"), has_system=True),
    Version("max", "Spark Max", "/v3.5/chat", "generalv3.5", 8_192, 4_096, also=("v3.5", "3.5"), has_system=True),
    Version("max-32k", "Spark Max 32K", "/chat/max-32k", "max-32k", 32_768, has_system=True),
    Version("pro", "Spark Pro", "/v3.1/chat", "generalv3", 8_192, 4_096, also=("v3.1", "3.1", "v3", "v3.0")),
    Version("pro-128k", "Spark Pro 128K", "/chat/pro-128k", "pro-128k", 131_072, 4_096),
    Version(
        "x1",
        "Spark X1",
        "/v1/x1",
        "spark-x",
        32_768,
        also=("x1.5",),
        http_path="/v2/chat/completions",
        has_system=True,
        reasons=True,
    ),
    Version(
        "x2", "Spark X2", "/x2", "spark-x", 32_768, http_path="/x2/chat/completions", has_system=True, reasons=True
    ),
    Version("v2", "Spark V2.0", "/v2.1/chat", "generalv2", 8_192, 4_096, also=("v2.0", "v2.1", "2.1"), is_retired=True),
)

VERSIONS: dict[str, Version] = {version.key: version for version in _ALL}

_BY_ANY_NAME = {
    name.lower(): version
    for version in reversed(_ALL)  # X1 and X2 share a domain: it means the first
    for name in (version.domain, version.path, version.key, version.model_id, *version.also)
}


def version_of(name: str) -> Version | None:
    """The version somebody means by its key, its domain, its path or its number; None when there is none."""
    return _BY_ANY_NAME.get(name.strip().lower())
