"""doubao-web's own pages in a real browser: forms, the list, a reply as it comes, and nothing a policy forbids."""

from __future__ import annotations

from playwright.sync_api import Browser, expect

from tests.page.visitor import WAIT_MS, Visitor
from tests.processes import ServerProcess


def test_a_visitor_registers_talks_and_leaves(browser: Browser, site: ServerProcess) -> None:
    visitor = Visitor(browser, site.address)
    page = visitor.page

    page.goto(f"{site.address}/chat")
    assert page.url == f"{site.address}/login?next=%2Fchat"
    expect(page.get_by_role("alert")).to_have_text("Please log in to access this page.")
    page.get_by_role("link", name="Register").click()
    page.get_by_label("User name").fill("Chris")
    page.get_by_label("Password").fill("secret")
    page.get_by_role("button", name="Register").click()
    page.wait_for_url("**/chat")

    page.get_by_label("Message").fill("<b>hello</b>")
    page.get_by_role("button", name="Send").click()
    expect(page.get_by_role("button", name="Send")).to_be_enabled(timeout=WAIT_MS)
    messages = page.locator(".message span")
    expect(messages).to_have_count(2)
    expect(messages.first).to_have_text("<b>hello</b>")
    expect(messages.last).to_contain_text("You wrote: “<b>hello</b>”")

    page.get_by_role("button", name="New conversation").click()
    listed = page.locator("[data-session]")
    expect(listed).to_have_count(2)
    expect(messages).to_have_count(0)
    listed.last.click()
    expect(messages).to_have_count(2)

    page.get_by_role("button", name="Sign out").click()
    page.wait_for_url("**/login")
    page.get_by_label("User name").fill("chris")
    page.get_by_label("Password").fill("wrong!")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert")).to_have_text("The user name and the password do not fit together.")
    assert visitor.complaints == []
    visitor.leave()
