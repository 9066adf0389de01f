"""`COMPAT`: which older backends are served, and where. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import config
from blueprints.compat.backend import Backend


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """Where a backend's paths begin.

    Attributes:
        port: 0 for the server's own.
        prefix: Empty for the root, else `/name`.
    """

    port: int
    prefix: str

    def __str__(self) -> str:
        port = f"port {self.port}" if self.port else ""
        return " ".join(filter(None, (port, self.prefix))) or "the root"


def places(backends: Iterable[Backend], written: Sequence[str]) -> dict[Place, list[Backend]]:
    """Every place with the backends mounted there.

    Args:
        written: `all`, `none`, or names, bare or with `@/prefix`, `@:port` or `@off`; what is said later counts.

    Raises:
        config.ConfigError: No such backend, or no such place.
    """
    known = {backend.name: backend for backend in backends}
    chosen: dict[str, tuple[Place, ...]] = {}
    for entry in written:
        name, at, where = entry.partition("@")
        if entry == "all":
            chosen.update({backend.name: _usual(backend) for backend in known.values()})
        elif entry == "none":
            chosen.clear()
        elif name not in known:
            served = ", ".join(["all", "none", *known])
            raise config.ConfigError(
                f"COMPAT names {name!r}; there are {served}.", f"COMPAT 中的 {name!r} 不存在；可用：{served}。"
            )
        elif not at:
            chosen[name] = _usual(known[name])
        elif where == "off":
            chosen.pop(name, None)
        else:
            chosen[name] = (_place(entry, where),)
    found: dict[Place, list[Backend]] = {}
    for name in sorted(chosen):
        for place in chosen[name]:
            found.setdefault(place, []).append(known[name])
    return dict(sorted(found.items()))


def _usual(backend: Backend) -> tuple[Place, ...]:
    root = Place(0, "")
    return (root, Place(0, backend.prefix)) if backend.prefix else (root,)


def _place(entry: str, where: str) -> Place:
    if re.fullmatch(r"(/[A-Za-z0-9_-]+)+", where):
        return Place(0, where)
    if re.fullmatch(r":[0-9]{1,5}", where) and 0 < int(where[1:]) < 65_536:
        return Place(int(where[1:]), "")
    raise config.ConfigError(
        f"COMPAT must read name@/prefix, name@:port or name@off, not {entry!r}.",
        f"COMPAT 应写作 name@/前缀、name@:端口 或 name@off，而不是 {entry!r}。",
    )
