"""Reading: long answers, scrolling, phones, both languages, keyboard and screen reader."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from playwright.sync_api import expect

from tests.page.conftest import Come
from tests.page.visitor import Visitor

DRAW_LONG = (Path(__file__).parent / "draw_long.js").read_text("utf-8")


def test_only_the_last_block_is_drawn_again(visitor: Visitor) -> None:
    """20 000 lines: a block that was settled is never touched again, and those out of sight are not laid out."""
    result: Any = visitor.page.evaluate(DRAW_LONG)
    assert result["again"] == 0
    assert result["blocks"] > 5_000
    assert result["isLong"] and result["last"]


def test_the_end_is_followed_until_the_reader_scrolls_up(visitor: Visitor) -> None:
    visitor.say("a long answer")
    scroller = visitor.page.locator("#scroller")
    expect(visitor.answers.last).to_contain_text("Section 4")
    expect(visitor.page.locator("#to-end")).to_be_hidden()
    scroller.hover()
    visitor.page.mouse.wheel(0, -600)
    expect(visitor.page.locator("#to-end")).to_be_visible()
    visitor.draw()
    top = scroller.evaluate("node => node.scrollTop")
    expect(visitor.answers.last).to_contain_text("Section 7")
    assert scroller.evaluate("node => node.scrollTop") == top
    visitor.page.get_by_role("button", name="Go to the newest text").click()
    expect(visitor.page.locator("#to-end")).to_be_hidden()
    visitor.page.keyboard.press("Escape")
    visitor.hear()


def test_a_phone_shows_everything_in_its_width(come: Come) -> None:
    """No sideways scrolling of the page, even with wide code and tables; the drawer opens over it."""
    visitor = come(viewport={"width": 360, "height": 740}, has_touch=True, is_mobile=True).arrive()
    visitor.ask("code and a table")
    visitor.ask(f"echo {'wide' * 60} | `{'x' * 90}`\n\n{'|a' * 30}|\n{'|-' * 30}|\n{'|1' * 30}|")
    widths: Any = visitor.page.evaluate(
        "() => ['html', '#messages', '.top'].map((part) => document.querySelector(part).scrollWidth)"
    )
    assert max(widths) <= 360
    expect(visitor.page.locator("#drawer")).not_to_be_in_viewport()
    visitor.page.get_by_role("button", name="Show the conversations").tap()
    expect(visitor.page.locator("#conversations a")).to_be_in_viewport()
    visitor.page.locator("#conversations a").tap()
    expect(visitor.page.locator("#drawer")).not_to_be_in_viewport()


def test_chinese_and_english_can_be_switched_at_any_time(come: Come) -> None:
    visitor = come(locale="zh-CN").arrive()
    expect(visitor.page.locator("html")).to_have_attribute("lang", "zh-CN")
    expect(visitor.page.locator(".greeting")).to_have_text("今天想聊点什么？")
    visitor.page.locator("#person").click()
    visitor.page.get_by_text("English").click()
    expect(visitor.page.get_by_role("heading", name="Settings")).to_be_visible()
    visitor.page.get_by_role("button", name="Close").click()
    expect(visitor.page.locator("html")).to_have_attribute("lang", "en")
    visitor.page.reload()
    expect(visitor.page.locator(".greeting")).to_have_text("What would you like to talk about?")
    visitor.ask("hello")


def test_a_chosen_theme_stays(visitor: Visitor) -> None:
    def paper() -> Any:
        return visitor.page.evaluate("() => getComputedStyle(document.body).backgroundColor")

    light = paper()
    visitor.page.locator("#person").click()
    visitor.page.get_by_text("Dark", exact=True).click()
    dark = paper()
    assert dark != light
    visitor.page.reload()
    assert paper() == dark


def test_a_keyboard_is_enough(visitor: Visitor) -> None:
    """Write, break a line, pick from a menu, search, begin anew: without a pointer."""
    page = visitor.page
    page.keyboard.type("echo one")
    page.keyboard.press("Shift+Enter")
    page.keyboard.type("two")
    page.keyboard.press("Enter")
    expect(visitor.answers).to_have_count(1)
    assert visitor.hear() == "one\ntwo"
    page.locator("#model").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("menuitemradio", name=re.compile("^Demo"))).to_be_focused()
    page.keyboard.press("ArrowDown")
    expect(page.get_by_role("menuitemradio", name=re.compile("^Benchmark"))).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.locator("#model")).to_be_focused()
    page.keyboard.press("/")
    expect(visitor.box).to_be_focused()
    page.keyboard.press("Control+k")
    expect(page.get_by_role("searchbox")).to_be_focused()
    page.keyboard.press("Control+Shift+o")
    expect(visitor.box).to_be_focused()
    expect(page.locator("#empty")).to_be_visible()


def test_an_input_method_keeps_its_enter(visitor: Visitor) -> None:
    """The Enter that takes a word from a list of candidates sends nothing."""
    visitor.box.fill("nihao")
    visitor.box.dispatch_event("keydown", {"key": "Enter", "keyCode": 229})
    expect(visitor.box).to_have_value("nihao")
    expect(visitor.questions).to_have_count(0)


def test_a_screen_reader_hears_boundaries_only(visitor: Visitor) -> None:
    """The live region changes when an answer begins and ends; pieces never pass through it."""
    visitor.page.evaluate(
        """() => {
          window.heard = [];
          new MutationObserver(() => window.heard.push(document.getElementById("announcements").textContent))
            .observe(document.getElementById("announcements"), { childList: true, characterData: true, subtree: true });
        }"""
    )
    visitor.ask("code please")
    visitor.page.wait_for_function("() => /Fibonacci|complete/.test(window.heard.at(-1))")
    heard: Any = visitor.page.evaluate("() => window.heard.filter(Boolean)")
    assert heard[0] == "The answer begins."
    assert len(heard) == 2
    assert visitor.page.locator("[aria-live]").count() == 1


def test_every_control_has_a_name_and_messages_have_headings(visitor: Visitor) -> None:
    visitor.ask("markdown please")
    nameless: Any = visitor.page.evaluate(
        """() => [...document.querySelectorAll("button, input, textarea, a[href]")]
          .filter((node) => node.checkVisibility() && !node.ariaLabel && !node.labels?.length)
          .filter((node) => !node.textContent.trim())
          .map((node) => node.outerHTML)"""
    )
    assert nameless == []
    names = visitor.page.get_by_role("heading", level=2).all_inner_texts()
    assert names == ["You said", "Answer"]
    assert visitor.page.get_by_role("heading", level=1).count() == 1
    assert visitor.page.get_by_role("main").count() == 1


def test_words_not_sent_survive_a_reload(visitor: Visitor) -> None:
    visitor.box.fill("half a thought")
    visitor.page.reload()
    expect(visitor.box).to_have_value("half a thought")


def test_too_long_a_message_is_not_sent(visitor: Visitor) -> None:
    visitor.box.fill("字" * 32_001)
    expect(visitor.page.get_by_text("1 characters too many")).to_be_visible()
    expect(visitor.page.get_by_role("button", name="Send")).to_be_disabled()


def test_code_is_copied_as_it_was_written(come: Come) -> None:
    visitor = come(permissions=["clipboard-read", "clipboard-write"]).arrive()
    visitor.ask("code please")
    visitor.answers.last.locator(".code").get_by_role("button", name="Copy").click()
    expect(visitor.answers.last.locator(".code").get_by_role("button", name="Copied")).to_be_visible()
    code: Any = visitor.page.evaluate("() => navigator.clipboard.readText()")
    assert re.match(r"def fibonacci\(count: int\).*\n {4}\"\"\"", code)
    assert code.endswith("34]")


def test_missing_libraries_are_explained_in_the_page(come: Come) -> None:
    visitor = come()
    visitor.page.route(re.compile("/static/vendor/"), lambda route: route.fulfill(status=404))
    visitor.page.goto(visitor.address)
    expect(visitor.page.get_by_text("./run setup").first).to_be_visible()
    expect(visitor.page.locator("#app")).to_have_count(0)
    visitor.complaints.clear()  # the browser's own word about the files that are missing
