"""Pictures on the page: sent in parts, read with boxes over the words, drawn from a sentence."""

from __future__ import annotations

import base64
import io
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from PIL import Image, ImageDraw, ImageFont
from playwright.sync_api import Locator, WebSocketRoute, expect

from tests.page.conftest import Come
from tests.page.visitor import WAIT_MS, Visitor
from tests.processes import ROOT, ServerProcess

LINES = ("实时聊天服务器", "Amount due: 1,280.50", "An English line of text")
TOP, LEFT, STEP, SIZE = 40, 50, 90, 44
PART = re.compile(r'45\d+-/picture,\d+\["picture_part",')
GIVE = """([kind, data, type, name]) => {
  const bytes = Uint8Array.from(atob(data), (letter) => letter.charCodeAt(0));
  const files = new DataTransfer();
  files.items.add(new File([bytes], name, { type }));
  const event = kind === "paste"
    ? new ClipboardEvent("paste", { clipboardData: files, bubbles: true, cancelable: true })
    : new DragEvent("drop", { dataTransfer: files, bubbles: true, cancelable: true });
  document.querySelector("#write").dispatchEvent(event);
}"""


def written() -> bytes:
    """A page with three lines."""
    page = Image.new("RGB", (640, 320), "#fffdf6")
    fonts = subprocess.run(["fc-match", "-f", "%{file}", "sans:lang=zh-cn"], capture_output=True, text=True, check=True)
    font = ImageFont.truetype(fonts.stdout, SIZE)
    for number, line in enumerate(LINES):
        ImageDraw.Draw(page).text((LEFT, TOP + STEP * number), line, fill="#222222", font=font)
    return encoded(page)


def encoded(picture: Image.Image) -> bytes:
    file = io.BytesIO()
    picture.save(file, "PNG")
    return file.getvalue()


def choose(visitor: Visitor, data: bytes, name: str = "page.png", kind: str = "image/png") -> Locator:
    """From the menu; the card beside the message box."""
    visitor.page.locator("#picture").click()
    with visitor.page.expect_file_chooser() as chooser:
        visitor.page.get_by_role("menuitem", name="Choose a picture").click()
    chooser.value.set_files({"name": name, "mimeType": kind, "buffer": data})
    return visitor.page.locator(".tray-card").last


@pytest.fixture
def visitor(come: Come) -> Visitor:
    visitor = come(permissions=["clipboard-read", "clipboard-write"]).arrive()
    expect(visitor.page.locator("#picture")).to_be_visible()
    return visitor


def test_a_page_is_read_with_a_box_around_each_line(visitor: Visitor) -> None:
    """Every letter right, each box around its words; copied, and put into the message in the picture's place."""
    card = choose(visitor, written())
    card.get_by_role("button", name="Read the text").click()
    dialog = visitor.page.get_by_role("dialog")
    lines, boxes = dialog.locator(".regions li"), dialog.locator("polygon")
    expect(lines).to_have_text(list(LINES), timeout=WAIT_MS)  # the engine starts with its first picture
    expect(boxes).to_have_count(3)
    points: Any = boxes.evaluate_all("all => all.map(({ points }) => [...points].map(({ x, y }) => [x, y]))")
    for number, box in enumerate(points):
        middle = TOP + STEP * number + SIZE * 0.7
        assert min(y for _, y in box) < middle < max(y for _, y in box)
        assert abs(min(x for x, _ in box) - LEFT) < SIZE / 2
    lines.first.focus()
    expect(boxes.first).to_have_class("is-marked")
    visitor.page.keyboard.press("ArrowDown")
    expect(boxes.nth(1)).to_have_class("is-marked")
    expect(boxes.first).not_to_have_class("is-marked")

    dialog.get_by_role("button", name="Copy").click()
    expect(dialog.get_by_role("button", name="Copied")).to_be_visible()
    assert visitor.page.evaluate("() => navigator.clipboard.readText()").splitlines() == list(LINES)
    dialog.get_by_role("button", name="Put it into the message").click()
    expect(visitor.box).to_have_value("\n".join(LINES))
    expect(visitor.page.locator(".tray-card")).to_have_count(0)


@pytest.mark.parametrize("kind", ["paste", "drop"])
def test_pictures_are_pasted_and_dropped(visitor: Visitor, kind: str) -> None:
    data = base64.b64encode(encoded(Image.new("RGB", (64, 48), "teal"))).decode()
    visitor.page.evaluate(GIVE, [kind, data, "image/png", "teal.png"])
    expect(visitor.page.locator(".tray-card").get_by_role("button", name="Read the text")).to_be_visible()
    visitor.page.get_by_role("button", name="Remove this picture").click()
    expect(visitor.page.locator(".tray")).to_be_hidden()


def test_an_upload_goes_on_after_its_line_was_cut(come: Come) -> None:
    """Progress is shown, the line is cut after the second part, and every byte has come once it is done."""
    visitor = come()
    line = Line(visitor)
    visitor.arrive()
    expect(visitor.page.locator("#picture")).to_be_visible()
    data = encoded(Image.effect_noise((1400, 1000), 90))
    card = choose(visitor, data)
    expect(card.get_by_role("progressbar")).to_be_visible()
    expect(card.get_by_role("button", name="Read the text")).to_be_visible()
    assert line.connections == 2
    assert bytes(line.data) == data
    assert visitor.page.locator(".notice").count() == 0


class Line:
    """What a page sends of a picture; the line is cut once, with the second part on its way."""

    def __init__(self, visitor: Visitor) -> None:
        self.data = bytearray()
        self.connections = 0
        self._at: int | None = None
        visitor.page.route_web_socket(re.compile("/socket.io/"), self._connect)

    def _connect(self, route: WebSocketRoute) -> None:
        server = route.connect_to_server()
        self.connections += 1
        is_first = self.connections == 1

        def said(message: str | bytes) -> None:
            if isinstance(message, str) and PART.match(message):
                self._at = orjson.loads(message[message.index("[") :])[1]["at"]
            elif isinstance(message, bytes) and self._at is not None:
                if is_first and self._at > 0:
                    return route.close()
                self.data[self._at : self._at + len(message)] = message
                self._at = None
            server.send(message)
            return None

        route.on_message(said)


def test_what_cannot_be_taken_is_explained(visitor: Visitor) -> None:
    """By the page where it can tell, else by the server: another kind of file, one too large, a broken one."""
    note = visitor.page.locator(".notice")
    choose(visitor, b"%PDF-1.4", "paper.pdf", "application/pdf")
    expect(note).to_contain_text("Use JPEG, PNG, WebP, GIF or BMP.")
    note.get_by_role("button", name="Close").click()
    choose(visitor, bytes(10_500_000), "large.png")
    expect(note).to_contain_text("This picture is too large. It may have up to 10 MB")
    note.get_by_role("button", name="Close").click()
    choose(visitor, written()[:900], "broken.png")
    expect(note).to_contain_text("This kind of file cannot be read.")
    expect(visitor.page.locator(".tray-card")).to_have_count(0)


def test_a_model_that_does_not_see_is_not_sent_a_picture(visitor: Visitor) -> None:
    """The question stays where it is, with a word about why; without the picture it goes."""
    choose(visitor, encoded(Image.new("RGB", (64, 48), "teal")))
    visitor.box.fill("echo what is this?")
    visitor.box.press("Enter")
    expect(visitor.page.get_by_text("No model here sees pictures.")).to_be_visible()
    expect(visitor.box).to_have_value("echo what is this?")
    visitor.page.get_by_role("button", name="Remove this picture").click()
    expect(visitor.page.get_by_text("No model here sees pictures.")).to_be_hidden()
    visitor.box.press("Enter")
    assert visitor.hear() == "what is this?"


def test_a_sentence_becomes_pictures(visitor: Visitor) -> None:
    """The demo painter's placeholder says that it is one; the pictures can be kept."""
    visitor.page.locator("#picture").click()
    visitor.page.get_by_role("menuitem", name="Draw a picture").click()
    dialog = visitor.page.get_by_role("dialog", name="Draw a picture")
    dialog.get_by_label("What shall be drawn?").fill("a red boat at dusk")
    dialog.get_by_label("How many").select_option("2")
    dialog.get_by_role("button", name="Draw", exact=True).click()
    pictures = dialog.get_by_role("img", name="a red boat at dusk")
    expect(pictures).to_have_count(2)
    expect(dialog).to_contain_text("This draws a placeholder")
    for picture in pictures.all():
        picture.evaluate("image => image.decode()")
        assert picture.evaluate("({ naturalWidth, naturalHeight }) => [naturalWidth, naturalHeight]") == [512, 512]
    with visitor.page.expect_download() as download:
        dialog.get_by_role("link", name="Download").first.click()
    assert Image.open(download.value.path()).size == (512, 512)


def test_a_phone_offers_its_camera(come: Come) -> None:
    visitor = come(locale="zh-CN", viewport={"width": 360, "height": 740}, has_touch=True, is_mobile=True).arrive()
    visitor.page.locator("#picture").tap()
    with visitor.page.expect_file_chooser() as chooser:
        visitor.page.get_by_role("menuitem", name="拍照").tap()
    assert chooser.value.element.get_attribute("capture") == "environment"
    chooser.value.set_files({"name": "photo.png", "mimeType": "image/png", "buffer": written()})
    visitor.page.get_by_role("button", name="识别文字").tap()
    dialog = visitor.page.get_by_role("dialog", name="图片中的文字")
    expect(dialog.locator(".regions li")).to_have_text(list(LINES), timeout=WAIT_MS)
    assert visitor.page.evaluate("() => document.documentElement.scrollWidth") == 360
    box = dialog.get_by_role("button", name="放入输入框").bounding_box()
    assert box is not None and box["x"] >= 0 and box["x"] + box["width"] <= 360


@pytest.fixture
def seeing(tmp_path: Path) -> Iterator[ServerProcess]:
    """A server with models that see, played by a simulated vendor."""
    command = [sys.executable, "-m", "simulators", "0"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as simulators:
        assert simulators.stdout is not None
        env: dict[str, str] = {}
        for line in simulators.stdout:
            name, _, value = line.strip().partition("=")
            if name.startswith("OPENAI_"):
                env[name] = value
            if line.startswith("A prompt"):
                break
        server = ServerProcess(
            tmp_path / "data", DEFAULT_MODEL="gpt-4o-mini", RATE_LIMIT_ENABLED="false", **env
        ).start()
        yield server
        server.stop()
        simulators.terminate()


def test_a_model_that_sees_is_asked_about_a_picture(come: Come, seeing: ServerProcess) -> None:
    """The picture goes with the question and stays with it: after a reload, large on a click, in another version."""
    visitor = come(address=seeing.address).arrive()
    data = encoded(Image.new("RGB", (64, 48), "teal"))
    card = choose(visitor, data)
    expect(card.get_by_role("button", name="Describe it")).to_be_visible()
    assert visitor.ask("What is this?")
    expect(visitor.page.locator(".tray")).to_be_hidden()
    visitor.page.reload()
    picture = visitor.questions.last.get_by_role("button", name="Show this picture large")
    expect(picture).to_be_visible()
    assert picture.locator("img").evaluate("image => image.decode().then(() => image.naturalWidth)") == 64
    picture.click()
    expect(visitor.page.get_by_role("dialog").get_by_role("img")).to_be_visible()
    visitor.page.keyboard.press("Escape")

    visitor.questions.last.hover()
    visitor.page.get_by_role("button", name="Edit your message").click()
    visitor.questions.last.get_by_role("textbox").fill("And now?")
    visitor.questions.last.get_by_role("textbox").press("Enter")
    assert visitor.hear()
    visitor.page.reload()
    expect(visitor.questions.last.locator(".question-text")).to_have_text("And now?")
    expect(picture).to_be_visible()

    visitor.page.locator("#model").click()
    visitor.page.get_by_role("menuitemradio", name="Demo").click()
    visitor.page.get_by_role("button", name="Answer again").click()
    expect(visitor.answers.last).to_contain_text("This model does not see the pictures of your question.")


def test_a_picture_is_described(come: Come, seeing: ServerProcess) -> None:
    visitor = come(address=seeing.address).arrive()
    card = choose(visitor, encoded(Image.new("RGB", (64, 48), "teal")))
    card.get_by_role("button", name="Describe it").click()
    dialog = visitor.page.get_by_role("dialog", name="What the picture shows")
    expect(dialog.get_by_role("button", name="Put it into the message")).to_be_enabled()
    assert "Describe this picture." in dialog.locator(".markdown").inner_text()
    expect(dialog.locator("polygon")).to_have_count(0)
