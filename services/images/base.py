"""The contract between a turn and whoever draws pictures."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any, Protocol

from services.events import StateChanged


@dataclass(frozen=True, slots=True)
class DrawRequest:
    """What is asked of a painter.

    Attributes:
        model: The vendor's own model name.
        width, height: In pixels.
        count: Pictures wanted, 1 to 4.
        user: An opaque id of the end user, for vendors that want one.
    """

    model: str
    prompt: str
    width: int
    height: int
    count: int
    user: str = ""


@dataclass(frozen=True, slots=True)
class Drawing:
    """One picture as it came: any kind, not looked at yet."""

    data: bytes


@dataclass(frozen=True, slots=True)
class PainterCard:
    """A painter as users see it.

    Attributes:
        id: Public id, unique over all painters.
        vendor_model: The vendor's name for it.
        size: Width and height where a request names none.
        available: False when no key is set.
    """

    id: str
    name: str
    provider: str
    vendor_model: str
    size: tuple[int, int]
    available: bool = True

    def to_wire(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "name": self.name,
            "provider": self.provider,
            "size": "*".join(map(str, self.size)),
            "available": self.available,
        }


class Painter(Protocol):
    """Whoever draws."""

    def painters(self) -> tuple[PainterCard, ...]:
        """What it offers, available or not. Never touches the network."""

    def draw(self, request: DrawRequest) -> Generator[StateChanged | Drawing, None, None]:
        """Yield `queued` and `thinking` with its progress when they change, then one to `count` drawings.

        Closing the generator gives the job up. Some of `count` may fail: those that came are given.

        Raises:
            VendorError: One of its kinds, when there is not one drawing.
        """

    def close(self) -> None:
        """Let go of what is held; no drawing runs any more."""


@dataclass(frozen=True, slots=True)
class PainterSpec:
    """How a painter is found and built; the fields are those of `ProviderSpec`."""

    name: str
    settings: type
    prefix: str
    build: Callable[[Any], Painter]
    order: int = 100
