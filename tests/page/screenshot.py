"""`python -m tests.page.screenshot FOLDER`: the pictures of the README, taken from a server of its own."""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

from tests.page.visitor import Visitor
from tests.processes import ServerProcess

_VIEW = {"width": 1280, "height": 800}
_PICTURES = {
    "page.png": ("en-US", "light", ("Compare the planets in a table", "Show me some code and think first")),
    "page-dark.png": ("en-US", "dark", ("Show me a formula", "Show me some code")),
    "page.zh-CN.png": ("zh-CN", "light", ("用表格比较行星", "给我一段代码，先推理一下")),
}


def take(browser: Browser, address: str, target: Path, *, locale: str, theme: str, questions: tuple[str, ...]) -> None:
    """One conversation, its last answer in sight."""
    visitor = Visitor(browser, address, locale=locale, color_scheme=theme, viewport=_VIEW, device_scale_factor=2)
    visitor.arrive()
    for question in questions:
        visitor.say(question).hear()
    visitor.page.locator(".hljs-keyword").first.wait_for()
    visitor.page.mouse.move(0, 0)
    visitor.page.screenshot(path=target)
    visitor.leave()


def main(folder: Path) -> None:
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    with tempfile.TemporaryDirectory() as scratch, sync_playwright() as playwright:
        server = ServerProcess(Path(scratch) / "data").start()
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        try:
            for name, (locale, theme, questions) in _PICTURES.items():
                take(browser, server.address, folder / name, locale=locale, theme=theme, questions=questions)
        finally:
            browser.close()
            server.stop()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
