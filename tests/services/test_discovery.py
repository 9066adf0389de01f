"""Providers are found, not listed."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.discovery import collect
from services.providers.base import ProviderSpec


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    folder = tmp_path / "vendors_of_a_test"
    folder.mkdir()
    (folder / "__init__.py").touch()
    monkeypatch.syspath_prepend(str(tmp_path))
    yield folder
    for name in [name for name in sys.modules if name.startswith("vendors_of_a_test")]:
        del sys.modules[name]


def register(folder: Path, file: str, name: str) -> None:
    (folder / f"{file}.py").write_text(
        "from services.providers.base import ProviderSpec\n"
        f"SPEC = ProviderSpec(name={name!r}, settings=object, prefix='', build=object)\n"
    )


def test_every_file_that_registers_is_found(package: Path) -> None:
    """Files without a `SPEC` are passed over."""
    register(package, "b_vendor", "b")
    register(package, "a_vendor", "a")
    (package / "words.py").write_text("SPEC = 'not a spec'\n")
    assert [spec.name for spec in collect("vendors_of_a_test", ProviderSpec)] == ["a", "b"]


def test_two_files_with_one_name_are_refused(package: Path) -> None:
    """Both files are named."""
    register(package, "one", "a")
    register(package, "two", "a")
    with pytest.raises(ValueError, match=r"two and .*one both register 'a'"):
        collect("vendors_of_a_test", ProviderSpec)


def test_the_projects_own_providers_are_found() -> None:
    """The demo model is always among them."""
    assert "demo" in {spec.name for spec in collect("services.providers", ProviderSpec)}
