"""Speaking to the page: Chromium's microphone plays a recording of synthetic speech."""

from __future__ import annotations

import re
import subprocess
from base64 import b64decode
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from playwright.sync_api import Browser, Playwright, WebSocketRoute, expect

from tests.page.conftest import Come, launch, visits
from tests.page.visitor import Visitor
from tests.processes import ServerProcess

WORDS = "Hello. Please tell me a story about a cat and a dog."
VOICE_FRAME = re.compile(r'45\d+-/voice,\["voice_frame",')
VOICE_END = re.compile(r'42/voice,\d+\["voice_end",')


@pytest.fixture(scope="session")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A second of silence, a sentence, then silence for good: the file is played once."""
    folder: Path = tmp_path_factory.mktemp("speech")
    subprocess.run(["espeak-ng", "-v", "en-us", "-s", "150", "-w", "words.wav", WORDS], cwd=folder, check=True)
    sox = ["sox", "words.wav", "-r", "48000", "-c", "1", "speech.wav", "pad", "1", "2"]
    subprocess.run(sox, cwd=folder, check=True)
    return folder / "speech.wav"


@pytest.fixture(scope="session")
def speaking_browser(playwright: Playwright, recording: Path) -> Iterator[Browser]:
    browser = launch(
        playwright, "--use-fake-device-for-media-stream", f"--use-file-for-fake-audio-capture={recording}%noloop"
    )
    yield browser
    browser.close()


@pytest.fixture
def come(speaking_browser: Browser, site: ServerProcess) -> Iterator[Come]:
    """Visitors with a microphone; `permissions=[]` for one who does not let the page use it."""
    with visits(speaking_browser, site.address) as come:
        yield lambda **options: come(**{"permissions": ["microphone"], **options})


@pytest.fixture
def speaker(come: Come) -> Visitor:
    return ready(come())


def ready(visitor: Visitor, **kept: str) -> Visitor:
    """At the page, which can be spoken to. `kept`: what it remembers of an earlier visit."""
    for name, value in kept.items():
        visitor.page.add_init_script(f"localStorage.setItem('parley.{name}', '{value}')")
    visitor.arrive()
    expect(visitor.page.locator("#talk")).to_be_visible()
    return visitor


def heard(visitor: Visitor) -> None:
    """Words have come while the person still speaks."""
    expect(visitor.page.locator(".caption-partial")).to_have_text(re.compile(r"\w+ \w+"), timeout=20_000)
    expect(visitor.questions).to_have_count(0)


def asked(visitor: Visitor) -> None:
    """What was heard has become a question, and is answered."""
    expect(visitor.questions).to_have_count(1, timeout=20_000)
    assert visitor.questions.locator(".question-text").inner_text().strip()
    expect(visitor.answers.last).to_contain_text("demo model")


def test_hands_free_a_pause_sends_what_was_said(speaker: Visitor) -> None:
    """Pressed once it listens: level, captions, the recogniser's limits; pressed again, it does not."""
    talk, bar = speaker.page.locator("#talk"), speaker.page.locator(".voice-bar")
    talk.click()
    expect(bar).to_contain_text("A pause sends what you said.")
    expect(bar).to_contain_text("English only, and rough")
    heard(speaker)
    loudest = "all => Math.max(...all.map((bar) => +bar.style.getPropertyValue('--level')))"
    assert bar.locator(".voice-level i").evaluate_all(loudest) > 0.5
    asked(speaker)
    expect(speaker.page).to_have_url(re.compile(r"#c=c_"))
    expect(talk).to_have_attribute("aria-pressed", "true")
    talk.click()
    expect(bar).to_be_hidden()
    expect(talk).to_have_attribute("aria-pressed", "false")


@pytest.mark.parametrize("key", ["Space", "Alt+r"])
def test_a_key_held_down_is_push_to_talk(speaker: Visitor, key: str) -> None:
    keyboard = speaker.page.keyboard
    if key == "Space":
        speaker.page.locator("#talk").focus()
    for part in key.split("+"):
        keyboard.down(part)
    expect(speaker.page.locator(".voice-bar")).to_contain_text("Let go to send.")
    heard(speaker)
    for part in reversed(key.split("+")):
        keyboard.up(part)
    expect(speaker.page.locator("#talk")).to_have_attribute("aria-pressed", "false")
    asked(speaker)
    expect(speaker.page.locator(".voice-bar")).to_be_hidden()
    assert speaker.box.input_value() == ""


@pytest.mark.parametrize(("locale", "label"), [("en-US", "Heard on another"), ("zh-CN", "你正在另一台设备上")])
def test_another_device_shows_the_captions_live(come: Come, locale: str, label: str) -> None:
    """While one still speaks; then the conversation is there, too. Where one speaks the captions are shown once."""
    speaker = ready(come())
    listener = ready(come(storage_state=speaker.context.storage_state(), locale=locale))
    speaker.page.locator("#talk").hover()
    speaker.page.mouse.down()
    heard(speaker)
    captions = listener.page.locator(".captions")
    expect(captions.locator(".captions-text")).to_have_text(re.compile(r"\w+ \w+"))
    expect(captions).to_be_visible()
    expect(captions).to_contain_text(label)
    expect(speaker.page.locator(".captions")).to_be_hidden()
    expect(speaker.questions).to_have_count(0)
    speaker.page.mouse.up()
    asked(speaker)
    expect(captions).to_be_hidden(timeout=20_000)
    expect(listener.page.locator("#conversations a")).to_have_count(1)


def test_the_button_held_down_is_push_to_talk_in_the_open_conversation(speaker: Visitor) -> None:
    speaker.ask("echo first")
    url = speaker.page.url
    speaker.page.locator("#talk").hover()
    speaker.page.mouse.down()
    expect(speaker.page.locator(".caption-partial")).not_to_be_empty(timeout=20_000)
    speaker.page.mouse.up()
    expect(speaker.questions).to_have_count(2, timeout=20_000)
    assert speaker.page.url == url


def test_escape_forgets_what_was_said(speaker: Visitor) -> None:
    speaker.page.locator("#talk").click()
    heard(speaker)
    speaker.page.keyboard.press("Escape")
    expect(speaker.page.locator(".voice-bar")).to_be_hidden()
    speaker.ask("echo typed")
    expect(speaker.questions).to_have_count(1)
    expect(speaker.page.locator("#conversations a")).to_have_count(1)


def test_words_can_be_checked_before_they_are_sent(come: Come) -> None:
    speaker = ready(come(), check_speech="yes")
    speaker.page.locator("#talk").click()
    heard(speaker)
    speaker.page.get_by_role("button", name="Done: send what was heard").click()
    expect(speaker.box).to_have_value(re.compile(r"\w+ \w+"), timeout=20_000)
    expect(speaker.questions).to_have_count(0)


def test_words_about_a_picture_wait_beside_it(speaker: Visitor) -> None:
    """Speech takes no picture along: the question is sent from the message box, with both."""
    speaker.page.locator("#picture").click()
    with speaker.page.expect_file_chooser() as chooser:
        speaker.page.get_by_role("menuitem", name="Choose a picture").click()
    pixel = b64decode("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR42mNgAAAAAgABSK+kcQAAAABJRU5ErkJggg==")
    chooser.value.set_files({"name": "pixel.png", "mimeType": "image/png", "buffer": pixel})
    speaker.page.locator("#talk").click()
    expect(speaker.box).to_have_value(re.compile(r"\w+ \w+"), timeout=20_000)
    expect(speaker.page.locator(".tray-card")).to_have_count(1)
    expect(speaker.questions).to_have_count(0)


def test_a_line_cut_in_mid_sentence_costs_no_byte(come: Come) -> None:
    """Cut twice while someone speaks: what was sent covers all of the sound, each byte always with the same value."""
    speaker = come()
    line = Line(speaker)
    ready(speaker)
    speaker.page.locator("#talk").hover()
    speaker.page.mouse.down()
    for seconds in ("0:01", "0:03"):
        expect(speaker.page.locator(".voice-time")).to_have_text(seconds)
        line.cut()
    expect(speaker.page.locator(".caption")).to_have_text(re.compile(r"\w+ \w+"), timeout=20_000)
    speaker.page.mouse.up()
    asked(speaker)
    assert line.connections >= 3
    assert line.ends[-1] == len(line.sound)
    assert line.sizes <= {1_280, line.ends[-1] % 1_280} | line.resumed
    assert speaker.page.locator(".notice").count() == 0


class Line:
    """Everything a page says on its sockets, put together again as the server has to."""

    def __init__(self, visitor: Visitor) -> None:
        self.sound = bytearray()
        self.ends: list[int] = []
        self.sizes: set[int] = set()
        self.resumed: set[int] = set()
        self.connections = 0
        self._route: Any = None
        self._at: int | None = None
        visitor.page.route_web_socket(re.compile("/socket.io/"), self._connect)

    def cut(self) -> None:
        self._route.close()

    def _connect(self, route: WebSocketRoute) -> None:
        server = route.connect_to_server()
        self._route = route
        self.connections += 1
        self._at = None

        def said(message: str | bytes) -> None:
            self._note(message)
            server.send(message)

        route.on_message(said)

    def _note(self, message: str | bytes) -> None:
        if isinstance(message, bytes):
            if self._at is not None:
                self._take(self._at, message)
            self._at = None
        elif VOICE_FRAME.match(message):
            self._at = orjson.loads(message[message.index("[") :])[1]["at"]
        elif VOICE_END.match(message):
            self.ends.append(orjson.loads(message[message.index("[") :])[1]["at"])

    def _take(self, at: int, pcm: bytes) -> None:
        known = self.sound[at : at + len(pcm)]
        assert at <= len(self.sound), "a hole"
        assert bytes(known) == pcm[: len(known)], "another sound in the same place"
        self.sound[at : at + len(pcm)] = pcm
        self.sizes.add(len(pcm))
        if at % 1_280:
            self.resumed.add(len(pcm))


def test_nothing_heard_is_said_so(come: Come) -> None:
    speaker = ready(come(), recogniser="discard")
    speaker.page.locator("#talk").hover()
    speaker.page.mouse.down()
    expect(speaker.page.locator(".voice-time")).to_have_text("0:01")
    speaker.page.mouse.up()
    expect(speaker.page.locator(".notice")).to_contain_text("Nothing was heard.")
    expect(speaker.questions).to_have_count(0)


def test_no_permission_is_explained(come: Come) -> None:
    speaker = ready(come(permissions=[]))
    speaker.page.locator("#talk").click()
    expect(speaker.page.get_by_role("alert")).to_contain_text("Allow it beside the address")
    expect(speaker.page.locator(".voice-bar")).to_be_hidden()
    expect(speaker.page.locator("#talk")).to_have_attribute("aria-pressed", "false")


def test_no_microphone_is_explained(browser: Browser, site: ServerProcess) -> None:
    with visits(browser, site.address) as come:
        visitor = ready(come(permissions=["microphone"]))
        visitor.page.locator("#talk").click()
        expect(visitor.page.get_by_role("alert")).to_contain_text("No microphone was found.")


def test_an_insecure_page_is_explained_in_the_readers_language(come: Come) -> None:
    """Browsers take `mediaDevices` away from pages on plain http."""
    speaker = come(locale="zh-CN")
    speaker.page.add_init_script("Object.defineProperty(Navigator.prototype, 'mediaDevices', { value: undefined })")
    ready(speaker)
    speaker.page.locator("#talk").click()
    expect(speaker.page.get_by_role("alert")).to_contain_text("请通过 https 或在 localhost 上打开本页")


def test_where_no_recogniser_is_served_there_is_no_button(come: Come, tmp_path: Path) -> None:
    server = ServerProcess(tmp_path / "data", POCKETSPHINX_PROCESSES="0").start()
    try:
        visitor = come(address=server.address).arrive()
        visitor.ask("echo here")
        expect(visitor.page.locator("#talk")).to_be_hidden()
    finally:
        server.stop()
