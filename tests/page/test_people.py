"""Guests, accounts, passwords and tokens on the page."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import expect

from tests.page.conftest import Come
from tests.page.visitor import Visitor
from tests.processes import ServerProcess

PASSWORD = "correct horse battery"


def open_settings(visitor: Visitor) -> None:
    visitor.page.locator("#person").click()


def fill_in(visitor: Visitor, name: str, password: str, button: str) -> None:
    dialog = visitor.page.get_by_role("dialog")
    dialog.get_by_label("User name").fill(name)
    dialog.locator("[name=password]").fill(password)
    dialog.locator("form").get_by_role("button", name=button).click()


def register(visitor: Visitor, name: str) -> None:
    open_settings(visitor)
    visitor.page.get_by_role("button", name="Create account").click()
    fill_in(visitor, name, PASSWORD, "Create account")
    expect(visitor.page.locator(".person-name")).to_have_text(name)


def test_a_guest_comes_back_as_the_same_guest(visitor: Visitor) -> None:
    visitor.ask("hello")
    visitor.page.goto("about:blank")
    visitor.arrive()
    expect(visitor.page.locator("#conversations a")).to_have_count(1)


def test_a_guest_becomes_a_user_and_keeps_the_conversations(visitor: Visitor, come: Come) -> None:
    """Then signs out, is not made a guest again unasked, and signs in on another device."""
    visitor.ask("echo mine")
    register(visitor, "Ada")
    expect(visitor.answers.last.locator(".markdown")).to_have_text("mine")
    open_settings(visitor)
    visitor.page.get_by_role("button", name="Sign out").click()
    dialog = visitor.page.get_by_role("dialog", name="Welcome")
    expect(dialog).to_be_visible()
    expect(dialog.get_by_role("button", name="Go on as a guest")).to_be_visible()
    expect(visitor.page.get_by_text("mine")).to_have_count(0)

    fill_in(visitor, "ada", "wrong password", "Sign in")
    expect(dialog.get_by_role("alert")).to_have_text("User name or password is wrong.")
    fill_in(visitor, "ada", PASSWORD, "Sign in")
    expect(visitor.page.locator("#conversations a")).to_have_count(1)

    other = come().arrive()
    open_settings(other)
    other.page.get_by_role("button", name="Sign in").click()
    fill_in(other, "Ada", PASSWORD, "Sign in")
    expect(other.page.locator("#conversations a")).to_have_count(1)


def test_a_name_that_is_taken_is_refused_beside_its_field(visitor: Visitor, come: Come) -> None:
    register(visitor, "Grace")
    other = come().arrive()
    open_settings(other)
    other.page.get_by_role("button", name="Create account").click()
    fill_in(other, "gRACE", PASSWORD, "Create account")
    expect(other.page.get_by_role("alert")).to_have_text("This name is taken. Choose another one.")
    expect(other.page.get_by_label("User name")).to_be_focused()


def test_a_token_is_shown_once_and_can_be_revoked(visitor: Visitor) -> None:
    register(visitor, "Linus")
    open_settings(visitor)
    dialog = visitor.page.get_by_role("dialog")
    dialog.get_by_label("What is it for?").fill("my phone")
    dialog.get_by_role("button", name="Create token").click()
    token = dialog.locator(".fresh-token code").inner_text()
    headers = {"Authorization": f"Bearer {token}"}
    assert httpx.get(f"{visitor.address}/v1/auth/me", headers=headers).json()["user"]["name"] == "Linus"
    row = dialog.locator(".tokens li", has_text="my phone")
    row.get_by_role("button", name="Revoke").click()
    expect(row).to_have_count(0)
    assert httpx.get(f"{visitor.address}/v1/auth/me", headers=headers).status_code == 401


def test_a_changed_password_ends_the_other_devices(visitor: Visitor, come: Come) -> None:
    register(visitor, "Barbara")
    other = come().arrive()
    open_settings(other)
    other.page.get_by_role("button", name="Sign in").click()
    fill_in(other, "Barbara", PASSWORD, "Sign in")
    expect(other.page.locator(".person-name")).to_have_text("Barbara")

    open_settings(visitor)
    dialog = visitor.page.get_by_role("dialog")
    dialog.locator("[name=old]").fill(PASSWORD)
    dialog.locator("[name=new]").fill("another long password")
    dialog.locator("form").get_by_role("button", name="Change password").click()
    expect(visitor.page.get_by_text("The password was changed.")).to_be_visible()
    visitor.page.reload()
    expect(visitor.page.locator(".person-name")).to_have_text("Barbara")
    other.page.reload()
    expect(other.page.locator(".person-name")).to_have_text("Guest")


@pytest.fixture
def closed(tmp_path: Path) -> Iterator[ServerProcess]:
    server = ServerProcess(tmp_path / "data", ALLOW_GUESTS="false").start()
    yield server
    server.stop()


def test_where_guests_are_not_allowed_one_signs_in_first(come: Come, closed: ServerProcess) -> None:
    visitor = come(address=closed.address)
    visitor.page.goto(closed.address)
    dialog = visitor.page.get_by_role("dialog", name="Welcome")
    expect(dialog).to_be_visible()
    expect(dialog.get_by_role("button", name="Go on as a guest")).to_have_count(0)
    visitor.page.keyboard.press("Escape")
    expect(dialog).to_be_visible()
    dialog.get_by_role("button", name="Create account").first.click()
    fill_in(visitor, "Edsger", PASSWORD, "Create account")
    expect(visitor.page.locator(".person-name")).to_have_text("Edsger")
    expect(visitor.page.locator("#model")).to_be_visible()
    assert visitor.ask("echo in") == "in"
