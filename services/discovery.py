"""Finding what a package offers: each of its files may register one `SPEC`."""

from __future__ import annotations

import importlib
import pkgutil
from typing import Protocol, TypeVar


class Spec(Protocol):
    """Anything registered: it has a name, unique in its package."""

    @property
    def name(self) -> str: ...


S = TypeVar("S", bound=Spec)


def collect(package: str, kind: type[S]) -> tuple[S, ...]:
    """Import every module of `package`; give each module's `SPEC` of that kind, by name.

    Raises:
        ValueError: Two files register one name; both are told.
    """
    found: dict[str, tuple[S, str]] = {}
    for module_info in pkgutil.iter_modules(importlib.import_module(package).__path__):
        module = importlib.import_module(f"{package}.{module_info.name}")
        spec = getattr(module, "SPEC", None)
        if not isinstance(spec, kind):
            continue
        if spec.name in found:
            raise ValueError(f"{module.__name__} and {found[spec.name][1]} both register {spec.name!r}.")
        found[spec.name] = (spec, module.__name__)
    return tuple(spec for _, (spec, _) in sorted(found.items()))
