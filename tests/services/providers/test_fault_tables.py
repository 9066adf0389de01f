"""The owner's page of faults."""

from __future__ import annotations

from services.providers.fault_tables import PAGE, page


def test_the_page_lists_every_fault_as_it_is() -> None:
    """`python -m services.providers.fault_tables` writes it anew."""
    assert PAGE.read_text("utf-8") == page()
