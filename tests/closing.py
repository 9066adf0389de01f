"""A pytest plugin that repeats, just above pytest's closing line, which of the checks before it failed."""

from __future__ import annotations

import os

import pytest


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    failed = os.environ.get("PARLEY_FAILED_CHECKS", "").split()
    if failed:
        terminalreporter.section("other checks", red=True)
        terminalreporter.line(f"FAILED before pytest: {', '.join(failed)}; their reports stand above.")
