"""Every setting there is: the core's slices and each vendor's.

`python -m services.settings_catalogue` writes them into `.env.example` and `docs/configuration.md`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_type_hints

import config
from services.discovery import collect
from services.images.base import PainterSpec
from services.ocr.base import ReaderSpec
from services.providers.base import ProviderSpec
from services.providers.catalogue import CatalogueSettings
from services.speech.base import SpeechSpec
from services.synthesis.base import SynthesisSpec
from services.wire.dial import DialSettings

_BEGIN, _END = "<!-- settings: begin -->", "<!-- settings: end -->"
_NOTE = """\
# Every setting of Parley, with its default. Copy this file to .env and take the # from what you change; a variable
# of the environment wins over .env. The same list as a table: docs/configuration.md.
"""


@dataclass(frozen=True, slots=True)
class Entry:
    """One variable.

    Attributes:
        name: As in the environment.
        default: As it would be written in `.env`; empty for nothing.
        meaning: One sentence.
        rule: What a value must be; empty when anything goes.
        kind: The Python type it is read as.
    """

    name: str
    default: str
    meaning: str
    rule: str
    kind: Any
    secret: bool


@dataclass(frozen=True, slots=True)
class Group:
    """One slice: what it is about, and how to read it."""

    title: str
    slice_type: type
    prefix: str

    def entries(self) -> tuple[Entry, ...]:
        hints = get_type_hints(self.slice_type)
        return tuple(
            Entry(
                name=config.name_of(field, self.prefix),
                default=_written(field.default),
                meaning=field.metadata["help"],
                rule=_rule(hints[field.name], field.metadata),
                kind=hints[field.name],
                secret=field.metadata["secret"],
            )
            for field in dataclasses.fields(self.slice_type)
        )


def groups() -> tuple[Group, ...]:
    """The core's slices, what all vendors share, each vendor in the order in which its models are preferred."""
    shared = (*(kind for _, kind in config.slices()), CatalogueSettings, DialSettings)
    kinds: dict[str, Any] = {
        "services.providers": ProviderSpec,
        "services.speech": SpeechSpec,
        "services.synthesis": SynthesisSpec,
        "services.ocr": ReaderSpec,
        "services.images": PainterSpec,
    }
    specs = [
        spec
        for package, kind in kinds.items()
        for spec in sorted(collect(package, kind), key=lambda spec: (spec.order, spec.name))
    ]
    return (
        *(Group(_title(kind), kind, "") for kind in shared),
        *(Group(_title(spec.settings), spec.settings, spec.prefix) for spec in specs),
    )


def listed() -> Iterator[tuple[Group, tuple[Entry, ...]]]:
    """Each group with its entries; a variable that two slices read stands in the first."""
    seen: set[str] = set()
    for group in groups():
        fresh = tuple(entry for entry in group.entries() if entry.name not in seen)
        seen.update(entry.name for entry in fresh)
        if fresh:
            yield group, fresh


def env_example() -> str:
    """The text of `.env.example`."""
    parts = [_NOTE]
    for group, entries in listed():
        lines = [f"# --- {group.title}"]
        for entry in entries:
            rule = f" ({entry.rule})" if entry.rule else ""
            lines += ["", f"# {entry.meaning}{rule}", f"# {entry.name}={entry.default}"]
        parts.append("\n".join(lines) + "\n")
    return "\n".join(parts)


def table() -> str:
    """The part of `docs/configuration.md` between its markers."""
    parts = []
    for group, entries in listed():
        lines = [f"### {group.title}", "", "| name | default | meaning | must be |", "| --- | --- | --- | --- |"]
        for entry in entries:
            default = f"`{entry.default}`" if entry.default else ""
            lines.append(f"| `{entry.name}` | {default} | {entry.meaning} | {entry.rule} |")
        parts.append("\n".join(lines))
    return f"{_BEGIN}\n\n" + "\n\n".join(parts) + f"\n\n{_END}"


def documented(page: str) -> str:
    """`page` with the table in its place."""
    before, _, rest = page.partition(_BEGIN)
    return before + table() + rest.partition(_END)[2]


def _title(slice_type: type) -> str:
    return (slice_type.__doc__ or slice_type.__name__).strip().splitlines()[0].rstrip(".")


def _written(default: Any) -> str:
    if default is None:
        return ""
    if isinstance(default, bool):
        return str(default).lower()
    if isinstance(default, tuple):
        return ",".join(default)
    return f"{default:.12g}" if isinstance(default, float) else str(default)


def _rule(kind: Any, rules: Any) -> str:
    if rules["choices"]:
        return ", ".join(rules["choices"])
    if kind is bool:
        return "true or false"
    low, high = rules["minimum"], rules["maximum"]
    if low is not None and high is not None:
        return f"{low:.12g} to {high:.12g}"
    return f"at least {low:.12g}" if low is not None else ""


def _write(root: Path) -> None:
    (root / ".env.example").write_text(env_example(), "utf-8")
    page = root / "docs/configuration.md"
    page.write_text(documented(page.read_text("utf-8")), "utf-8")


if __name__ == "__main__":
    _write(Path(__file__).resolve().parents[1])
