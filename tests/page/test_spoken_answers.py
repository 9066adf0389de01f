"""Answers read aloud in the page: while they are written, silent at once, and what was not heard is grey."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.page.conftest import Come
from tests.page.test_voice import asked, come, ready, recording, speaking_browser  # noqa: F401
from tests.page.visitor import Visitor
from tests.processes import ROOT, ServerProcess

COUNTING = """
window.sounded = [];
const start = AudioBufferSourceNode.prototype.start;
AudioBufferSourceNode.prototype.start = function (at) {
  const live = document.querySelector(".answer.is-live") !== null;
  window.sounded.push({ seconds: this.buffer.duration, peak: Math.max(...this.buffer.getChannelData(0)), live });
  return start.call(this, at);
};
window.until = (look) => new Promise((done, fail) => {
  setTimeout(() => fail(new Error("it did not come")), 20_000);
  const again = () => (look() ? done() : setTimeout(again, 20));
  again();
});
"""
UNHEARD = "[...(CSS.highlights.get('unheard') ?? [])].map(String).join('').trim()"


@pytest.fixture
def listener(come: Come) -> Visitor:  # noqa: F811
    """Someone who has asked for answers to be read aloud, by the menu."""
    visitor = come()
    visitor.page.add_init_script(COUNTING)
    ready(visitor, speak_answers="yes")
    return visitor


def speak(visitor: Visitor) -> None:
    """Ask by voice until the answer sounds."""
    visitor.page.locator("#talk").hover()
    visitor.page.mouse.down()
    expect(visitor.page.locator(".caption-partial")).not_to_be_empty(timeout=20_000)
    visitor.page.mouse.up()
    visitor.page.evaluate("until(() => sounded.length > 0)")


def test_an_answer_is_heard_and_escape_silences_it(listener: Visitor) -> None:
    """The sound is real; what was not heard is grey, beside a word about it, and stays so on the next visit."""
    speak(listener)
    page = listener.page
    assert page.evaluate("window.sounded[0].peak") > 0.01
    page.keyboard.press("Escape")
    expect(listener.answers.last.locator(".details")).to_contain_text("not all of it was heard", timeout=10_000)
    page.evaluate(f"until(() => {UNHEARD}.length > 0)")
    grey = page.evaluate(UNHEARD)
    assert grey.split()[-1] in listener.answers.last.inner_text()
    page.reload()
    expect(listener.answers.last.locator(".details")).to_contain_text("not all of it was heard")
    page.evaluate(f"until(() => {UNHEARD}.length > 0)")


def test_the_microphone_silences_it(listener: Visitor) -> None:
    speak(listener)
    listener.page.locator("#talk").click()
    expect(listener.answers.last.locator(".details")).to_contain_text("not all of it was heard", timeout=10_000)
    listener.page.keyboard.press("Escape")


@pytest.fixture
def voiced(tmp_path: Path) -> Iterator[ServerProcess]:
    """A server whose voice is CosyVoice's, played by a simulated vendor: a tone of a quarter of the loudest."""
    command = [sys.executable, "-m", "simulators", "0"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as simulators:
        assert simulators.stdout is not None
        env: dict[str, str] = {}
        for line in simulators.stdout:
            name, _, value = line.strip().partition("=")
            if name.startswith("DASHSCOPE_"):
                env[name] = value
            if line.startswith("A prompt"):
                break
        server = ServerProcess(tmp_path / "data", ESPEAK_PROCESSES="0", RATE_LIMIT_ENABLED="false", **env).start()
        yield server
        server.stop()
        simulators.terminate()


def test_a_vendors_voice_is_heard_and_silenced(come: Come, voiced: ServerProcess) -> None:  # noqa: F811
    visitor = come(address=voiced.address)
    visitor.page.add_init_script(COUNTING)
    ready(visitor, speak_answers="yes", recogniser="pocketsphinx")
    speak(visitor)
    assert visitor.page.evaluate("sounded[0].peak") == pytest.approx(8_000 / 32_768, abs=0.01)
    visitor.page.keyboard.press("Escape")
    expect(visitor.answers.last.locator(".details")).to_contain_text("not all of it was heard", timeout=10_000)


def test_it_is_asked_for_in_the_menu(come: Come) -> None:  # noqa: F811
    visitor = ready(come(locale="zh-CN"))
    visitor.page.locator("#talk").click()
    visitor.page.get_by_role("button", name="聆听方式").click()
    visitor.page.get_by_role("menuitemradio", name="朗读回答").click()
    assert visitor.page.evaluate("localStorage.getItem('parley.speak_answers')") == "yes"
    visitor.page.keyboard.press("Escape")
