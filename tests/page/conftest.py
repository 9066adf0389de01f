"""One server and one browser for all stories; every story has a fresh visitor whose browser is watched."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Playwright, sync_playwright

from tests.page.visitor import Visitor
from tests.processes import ServerProcess

Come = Callable[..., Visitor]


@pytest.fixture(scope="session")
def playwright() -> Iterator[Playwright]:
    with sync_playwright() as playwright:
        yield playwright


def launch(playwright: Playwright, *switches: str) -> Browser:
    """A Chromium of the system's."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    assert chromium, "These tests need Chromium: install the Debian package chromium."
    return playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", *switches])


@pytest.fixture(scope="session")
def browser(playwright: Playwright) -> Iterator[Browser]:
    browser = launch(playwright)
    yield browser
    browser.close()


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    folder: Path = tmp_path_factory.mktemp("page")
    # Answers may be long: the benchmark model is not one that keeps to a limit, and would be left.
    env = {"BENCHMARK_MODELS": "1", "RATE_LIMIT_ENABLED": "false", "MAX_OUTPUT_TOKENS": "100000"}
    server = ServerProcess(folder / "data", **env).start()
    yield server
    server.stop()


@contextmanager
def visits(browser: Browser, site: str) -> Iterator[Come]:
    """Makes visitors; when they have left, none may have a complaint."""
    visitors: list[Visitor] = []

    def come(address: str = site, **options: Any) -> Visitor:
        visitor = Visitor(browser, address, **options)
        visitors.append(visitor)
        return visitor

    yield come
    for visitor in visitors:
        visitor.leave()
    for visitor in visitors:
        assert not visitor.complaints, visitor.complaints


@pytest.fixture
def come(browser: Browser, site: ServerProcess) -> Iterator[Come]:
    """Call it for a new visitor, or for another tab or device of a known one."""
    with visits(browser, site.address) as come:
        yield come


@pytest.fixture
def visitor(come: Come) -> Visitor:
    """Someone who has just opened the page and may write."""
    return come().arrive()
