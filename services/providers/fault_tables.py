"""Every vendor's faults as a page for the owner: `python -m services.providers.fault_tables` writes it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from services.discovery import collect
from services.providers.advice import Advice
from services.providers.base import ProviderSpec

PAGE = Path(__file__).parents[2] / "docs" / "providers" / "faults.md"

_HEAD = """\
# What vendors' faults mean

Made from the adapters' tables by `python -m services.providers.fault_tables`. First what the vendor says, or what it
stands for; then the error that a client reads; then what the owner can do, as `./run doctor` tells it in either
language and the server's log in English. `{V}` is the beginning of the vendor's settings. Where the codes come from is
told in [the vendors' pages](README.md).
"""


def page() -> str:
    """The whole page."""
    return _HEAD + "".join(_section(names, table) for names, table in _tables())


def _tables() -> Iterator[tuple[list[str], Mapping[str, Advice]]]:
    """Each table once, with the providers that share it."""
    shared: dict[int, tuple[list[str], Mapping[str, Advice]]] = {}
    for spec in sorted(collect("services.providers", ProviderSpec), key=lambda spec: (spec.order, spec.name)):
        if spec.faults:
            shared.setdefault(id(spec.faults), ([], spec.faults))[0].append(spec.name)
    yield from shared.values()


def _section(names: list[str], table: Mapping[str, Advice]) -> str:
    lines = [f"\n## {', '.join(names)}\n", "| fault | here | what to do | 如何处理 |", "| --- | --- | --- | --- |"]
    for fault, advice in table.items():
        lines.append(f"| `{fault}` | `{advice.kind.code}` | {advice.english} | {advice.chinese} |")
    return "\n".join([*lines, ""])


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
