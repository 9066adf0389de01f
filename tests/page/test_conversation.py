"""A conversation on the page: asking, stopping, versions, a reload, a second tab, a lost connection."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import WebSocketRoute, expect

from tests.page.conftest import Come
from tests.page.visitor import Visitor
from tests.processes import ServerProcess

SLOW = "a slow answer please"


def test_a_stranger_is_answered_at_once(visitor: Visitor) -> None:
    """No account, no key: a guest writes, and Markdown, code, a table and formulas are drawn."""
    visitor.ask("markdown please")
    answer = visitor.answers.last
    expect(answer.locator("table td", has_text="Venus")).to_be_visible()
    expect(answer.locator(".code .hljs-keyword", has_text="def")).to_be_visible()
    expect(answer.locator(".math-block .katex-html").first).to_be_visible()
    assert answer.locator(".math-spoken math").count() == 3
    expect(visitor.page).to_have_title("markdown please · Parley")
    expect(visitor.page).to_have_url(re.compile(r"#c=c_"))
    expect(visitor.page.locator("#person")).to_contain_text("tokens left")


def test_formulas_keep_their_shape_under_the_policy(visitor: Visitor) -> None:
    """KaTeX places parts by inline styles, which the policy blocks in HTML; here they are set and count."""
    visitor.ask("formula")
    expect(visitor.answers.last.locator(".frac-line").first).to_be_attached()
    struts = visitor.answers.last.locator(".math-block .katex-strut")
    heights = struts.evaluate_all("all => all.map((strut) => strut.style.height)")
    assert heights and all(heights)
    line = visitor.answers.last.locator(".frac-line").first.bounding_box()
    assert line is not None and line["width"] > 20


def test_reasoning_is_folded_away(visitor: Visitor) -> None:
    visitor.ask("reasoning")
    thoughts = visitor.answers.last.locator("details.reasoning")
    expect(thoughts.locator(".reasoning-text")).to_be_hidden()
    thoughts.locator("summary").click()
    expect(thoughts.locator(".reasoning-text")).to_contain_text("I cannot reason")


def test_escape_stops_and_the_partial_answer_stays(visitor: Visitor) -> None:
    visitor.say(SLOW)
    expect(visitor.answers.last).to_contain_text("demo")
    expect(visitor.page.get_by_text("pieces/s")).to_be_visible()
    visitor.page.keyboard.press("Escape")
    partial = visitor.hear()
    expect(visitor.answers.last).to_contain_text("You stopped this answer.")
    visitor.page.reload()
    expect(visitor.answers.last.locator(".markdown")).to_have_text(partial, use_inner_text=True)


def test_a_reload_in_mid_answer_goes_on(visitor: Visitor) -> None:
    visitor.say(SLOW)
    expect(visitor.page).to_have_url(re.compile("#c="))  # the server has it
    visitor.page.reload()
    expect(visitor.answers.last).to_have_attribute("aria-busy", "true")
    expect(visitor.answers.last).to_contain_text("I am the demo model of this server")
    expect(visitor.page.get_by_role("button", name="Stop")).to_be_visible()
    visitor.page.get_by_role("button", name="Stop").click()
    visitor.hear()


def test_two_tabs_are_in_step(visitor: Visitor, come: Come) -> None:
    """A second tab sees the question and the answer as they come, and may stop it; a deletion reaches both."""
    visitor.ask("hello")
    other = come(context=visitor.context).arrive(visitor.page.url.rpartition("/")[2])
    expect(other.answers).to_have_count(1)
    visitor.say(SLOW)
    expect(other.questions).to_have_count(2)
    expect(other.answers.last).to_contain_text("demo")
    other.page.keyboard.press("Escape")
    assert visitor.hear() == other.hear()

    other.page.locator("#title-menu").click()
    other.page.get_by_role("menuitem", name="Delete").click()
    other.page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    for tab in (visitor, other):
        expect(tab.page.locator("#empty")).to_be_visible()
        expect(tab.page.get_by_role("link", name="hello")).to_have_count(0)


def test_versions_of_an_answer(visitor: Visitor) -> None:
    """Answering again adds a version; the switcher goes back and forth, and a reload shows the newest."""
    visitor.ask("hello")
    visitor.page.get_by_role("button", name="Answer again").click()
    visitor.hear()
    count = visitor.answers.locator(".versions-count")
    expect(count).to_have_text("2 / 2")
    visitor.page.get_by_role("button", name="Version before").click()
    expect(count).to_have_text("1 / 2")
    visitor.page.reload()
    expect(count).to_have_text("2 / 2")


def test_editing_branches_and_keeps_the_old_branch(visitor: Visitor) -> None:
    """The first message too can be said differently; its answers go with it."""
    visitor.ask("echo one")
    visitor.ask("echo two")
    first = visitor.questions.first
    first.hover()
    first.get_by_role("button", name="Edit your message").click()
    area = first.get_by_role("textbox")
    area.fill("echo uno")
    area.press("Enter")
    expect(visitor.answers).to_have_count(1)
    assert visitor.hear() == "uno"
    expect(first.locator(".versions-count")).to_have_text("2 / 2")
    first.get_by_role("button", name="Version before").click()
    expect(visitor.answers).to_have_count(2)
    expect(visitor.answers.last.locator(".markdown")).to_have_text("two")
    assert visitor.ask("echo three") == "three"
    visitor.page.reload()
    expect(visitor.questions.locator(".question-text")).to_have_text(["echo one", "echo two", "echo three"])


def test_a_failed_answer_says_why_and_can_be_asked_again(visitor: Visitor) -> None:
    visitor.say("a midway error")
    visitor.hear()
    fault = visitor.answers.last.locator(".fault")
    expect(fault).to_contain_text("What came is kept")
    visitor.page.get_by_role("button", name="Try again").click()
    expect(visitor.answers.locator(".versions-count")).to_have_text("2 / 2")
    visitor.hear()


def test_a_cut_connection_is_never_seen(come: Come) -> None:
    """The socket is cut twice in mid-answer; the text is whole, there is no error, and nothing comes twice."""
    visitor = come()
    sockets: list[WebSocketRoute] = []

    def connect(route: WebSocketRoute) -> None:
        sockets.append(route)
        route.connect_to_server()

    visitor.page.route_web_socket(re.compile("/socket.io/"), connect)
    visitor.arrive()
    visitor.page.locator("#model").click()
    visitor.page.get_by_role("menuitemradio", name="Benchmark").click()
    visitor.say("pieces=200 rate=60 size=6")
    for cut in (1, 2):
        seen = len(visitor.text)
        expect(visitor.answers.last.locator(".markdown")).to_have_text(re.compile(rf"^.{{{seen + 100},}}", re.DOTALL))
        sockets[-1].close()
        expect(visitor.page.locator("#offline")).to_be_hidden()
        assert len(sockets) >= cut
    text = visitor.hear()
    assert len(sockets) >= 3
    assert visitor.page.locator(".notice, .fault:visible").count() == 0
    visitor.page.reload()
    expect(visitor.answers.last.locator(".markdown")).to_have_text(text, use_inner_text=True)


def test_a_question_asked_while_offline_is_sent_once_it_is_back(come: Come) -> None:
    visitor = come()
    is_away = False
    sockets: list[WebSocketRoute] = []

    def connect(route: WebSocketRoute) -> None:
        if is_away:
            return route.close()
        sockets.append(route)
        route.connect_to_server()
        return None

    visitor.page.route_web_socket(re.compile("/socket.io/"), connect)
    visitor.page.route(re.compile("/socket.io/"), lambda route: route.abort() if is_away else route.continue_())
    visitor.arrive()
    is_away = True
    sockets[-1].close()
    visitor.say("echo after the tunnel")
    expect(visitor.page.locator("#offline")).to_be_visible()
    is_away = False
    visitor.page.evaluate("() => dispatchEvent(new Event('online'))")
    assert visitor.hear() == "after the tunnel"
    expect(visitor.page.locator("#offline")).to_be_hidden()
    expect(visitor.questions).to_have_count(1)
    visitor.page.reload()
    expect(visitor.questions).to_have_count(1)


@pytest.fixture
def mortal(tmp_path: Path) -> Iterator[ServerProcess]:
    """A server that may be killed, with little to spend."""
    server = ServerProcess(tmp_path / "data", INITIAL_TOKENS="150").start()
    yield server
    server.stop()


def test_a_restart_of_the_server_is_explained_and_costs_no_text(come: Come, mortal: ServerProcess) -> None:
    """The page comes back by itself, keeps what was saved of the answer, says why it broke off, offers to go on."""
    visitor = come(address=mortal.address).arrive()
    visitor.say("a slow answer")
    expect(visitor.answers.last).to_contain_text("this server")
    mortal.kill()
    mortal.start()
    expect(visitor.answers.last).to_have_attribute("aria-busy", "false", timeout=30_000)
    expect(visitor.answers.last.locator(".fault")).to_contain_text("The server was restarted during this answer.")
    expect(visitor.answers.last.locator(".markdown")).to_contain_text("I am the demo")
    expect(visitor.page.get_by_role("button", name="Try again")).to_be_visible()
    assert visitor.page.locator(".notice").count() == 0


def test_an_empty_purse_is_said_in_words(come: Come, mortal: ServerProcess) -> None:
    """An answer that can no longer be paid is cut with the reason; the next is refused with what to do."""
    visitor = come(address=mortal.address).arrive()
    visitor.ask("a long answer")
    expect(visitor.answers.last.locator(".fault")).to_contain_text("Your tokens are used up.")
    visitor.ask("one more")
    expect(visitor.answers.last.locator(".fault")).to_contain_text("Ask the administrator")
    expect(visitor.questions.last).to_contain_text("one more")


def test_the_list_is_searched_renamed_and_reached_by_address(visitor: Visitor) -> None:
    visitor.ask("echo the river Danube")
    first = visitor.page.url
    visitor.page.get_by_role("button", name="New chat").first.click()
    visitor.ask("echo 春眠不觉晓")
    links = visitor.page.locator("#conversations a")
    expect(links).to_have_count(2)

    visitor.page.keyboard.press("Control+k")
    visitor.page.keyboard.type("danube")
    expect(links).to_have_count(1)
    expect(links.locator("mark").first).to_have_text("Danube")
    links.first.click()
    expect(visitor.page).to_have_url(first)
    expect(visitor.answers.last).to_contain_text("the river Danube")

    visitor.page.get_by_role("searchbox").fill("不觉")
    expect(links).to_have_count(1)
    visitor.page.get_by_role("searchbox").fill("")
    expect(links).to_have_count(2)
    item = visitor.page.locator(".conversation", has=visitor.page.locator("[aria-current]"))
    item.hover()
    item.get_by_role("button").click()
    visitor.page.get_by_role("menuitem", name="Rename").click()
    visitor.page.keyboard.type("Rivers")
    visitor.page.keyboard.press("Enter")
    expect(visitor.page.locator("#title")).to_have_text("Rivers")
    visitor.page.go_back()
    expect(visitor.answers.last).to_contain_text("春眠不觉晓")


def test_an_export_is_a_file(visitor: Visitor) -> None:
    visitor.ask("echo keep me")
    with visitor.page.expect_download() as waiting:
        visitor.page.locator("#title-menu").click()
        visitor.page.get_by_role("menuitem", name="Export as Markdown").click()
    assert "keep me" in waiting.value.path().read_text("utf-8")
