"""The names of everything the server can be told by its environment."""

from __future__ import annotations

import re

from tests.deploy.images import ROOT


def names_of_settings() -> set[str]:
    """As `.env.example` lists them, which a test compares with the code."""
    return set(re.findall(r"^#? ?([A-Z][A-Z0-9_]+)=", (ROOT / ".env.example").read_text("utf-8"), re.MULTILINE))
