"""The owner's page of faults."""

from __future__ import annotations

from services.discovery import collect
from services.providers.base import ProviderSpec
from services.providers.fault_tables import PAGE, page


def test_the_page_lists_every_fault_as_it_is() -> None:
    """`python -m services.providers.fault_tables` writes it anew."""
    assert PAGE.read_text("utf-8") == page()


def test_every_vendor_has_a_table() -> None:
    """With a sentence in each language for every row; only the demo model has no vendor."""
    specs = collect("services.providers", ProviderSpec)
    assert [spec.name for spec in specs if not spec.faults] == ["demo"]
    for advice in (advice for spec in specs for advice in spec.faults.values()):
        assert advice.english.endswith(".")
        assert advice.chinese.endswith("。")
