"""A person at the page: writes, reads, and notices everything a browser complains of."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from playwright.sync_api import Browser, BrowserContext, Locator, Page, expect

WAIT_MS = 30_000
_EXPECTED_COMPLAINTS = ("status of 4", "net::ERR_")  # refusals the page explains; a server that is away


class Visitor:
    """One browser context with its cookies, and one tab of it.

    Attributes:
        complaints: Faults of scripts, breaches of the content policy, and requests to any other host.
    """

    def __init__(self, browser: Browser, address: str, context: BrowserContext | None = None, **options: Any) -> None:
        self.address = address
        self._owns_context = context is None
        self.context = context or browser.new_context(**{"locale": "en-US", "reduced_motion": "reduce", **options})
        self.page: Page = self.context.new_page()
        self.page.set_default_timeout(WAIT_MS)
        self.complaints: list[str] = []
        self.page.on("pageerror", lambda error: self.complaints.append(f"script: {error}"))
        self.page.on("console", lambda message: self._noted(message.type, message.text))
        self.page.on("request", lambda request: self._asked(request.url))

    def arrive(self, fragment: str = "") -> Visitor:
        """Open the page and wait until one may write."""
        self.page.goto(f"{self.address}/{fragment}")
        expect(self.page.locator("#model")).to_be_visible()
        return self

    def leave(self) -> None:
        self.page.close()
        if self._owns_context:
            self.context.close()

    @property
    def box(self) -> Locator:
        return self.page.locator("#write")

    @property
    def questions(self) -> Locator:
        return self.page.locator(".question")

    @property
    def answers(self) -> Locator:
        return self.page.locator(".answer")

    @property
    def text(self) -> str:
        """The newest answer's text as it is seen."""
        return self.answers.last.locator(".markdown").inner_text()

    def say(self, text: str) -> Visitor:
        """Write and press Enter; returns when the server has begun."""
        self.box.fill(text)
        self.box.press("Enter")
        expect(self.answers.last).to_be_visible()
        return self

    def hear(self) -> str:
        """Wait for the end of the newest answer."""
        expect(self.answers.last).to_have_attribute("aria-busy", "false", timeout=WAIT_MS)
        self.draw()
        return self.text

    def ask(self, text: str) -> str:
        return self.say(text).hear()

    def draw(self) -> None:
        """Let two frames pass, in which everything that came is drawn."""
        self.page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")

    def _noted(self, kind: str, text: str) -> None:
        if kind == "error" and not any(expected in text for expected in _EXPECTED_COMPLAINTS):
            self.complaints.append(f"console: {text}")

    def _asked(self, url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("data", "blob") and parts.netloc != urlsplit(self.address).netloc:
            self.complaints.append(f"request to {url}")
