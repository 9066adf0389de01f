"""What a model, a user or a title says is text: never a script, never a request, at no step of a stream."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import httpx
from playwright.sync_api import expect

from tests.page.conftest import Come
from tests.page.visitor import Visitor
from tests.processes import ServerProcess

MARKUP = (
    "<script>window.hacked=1</script>",
    "<img src=x onerror=window.hacked=1>",
    "<svg onload=window.hacked=1><animate onbegin=window.hacked=1></svg>",
    "<iframe srcdoc='<script>parent.hacked=1</script>'></iframe>",
    "<style>body{display:none}</style><link rel=stylesheet href=//evil.example/a.css>",
    "<base href=https://evil.example/><meta http-equiv=refresh content='0;url=https://evil.example'>",
    "<form action=https://evil.example><button>x</button></form>",
    "<math><mtext><table><mglyph><style><img src=x onerror=window.hacked=1></style></mglyph></table></mtext></math>",
    "<details open ontoggle=window.hacked=1>",
    "<a href='javascript:window.hacked=1'>x</a>",
    '"><b onmouseover=window.hacked=1>x',
    "--><!--<img src=x onerror=window.hacked=1>-->",
    "&lt;img src=x onerror=window.hacked=1&gt;",
)
MARKDOWN = (
    "[x](javascript:window.hacked=1)",
    "[x](JaVa\tScRiPt:window.hacked=1)",
    "[x](&#106;avascript:window.hacked=1)",
    "[x](\x01javascript:window.hacked=1)",
    "[x](vbscript:x) [y](data:text/html,<script>window.hacked=1</script>)",
    "<javascript:window.hacked=1>",
    "[x]: javascript:window.hacked=1\n\n[x]",
    "![x](https://evil.example/?secret)",
    '![x](https://evil.example/a.png "onerror=window.hacked=1")',
    "![x](data:image/svg+xml,<svg onload=window.hacked=1>)",
    '[x](https://evil.example "\'><img src=x onerror=window.hacked=1>")',
    '```"><img src=x onerror=window.hacked=1>\ncode\n```',
    "```html\n<img src=x onerror=window.hacked=1>\n</code></pre><script>window.hacked=1</script>\n```",
    "- ```html\n  <img src=x onerror=window.hacked=1>\n  ```",
    "$\\href{javascript:window.hacked=1}{x}$ $\\url{javascript:window.hacked=1}$",
    "$$\\includegraphics{https://evil.example/a.png}$$ $\\htmlStyle{background:url(//evil.example)}{x}$",
    "$\\htmlData{x=1}{y} \\htmlClass{menu}{y} \\htmlId{app}{y}$ $\\unicode{<img src=x onerror=window.hacked=1>}$",
    "$\\text{<img src=x onerror=window.hacked=1>}$ $$\\def\\x{\\x\\x}\\x$$ $\\fbox{a} \\pmb{b} \\colorbox{red}{c}$",
    "| <img src=x onerror=window.hacked=1> | b |\n|---|---|\n| <script>window.hacked=1</script> | [x](javascript:1) |",
)
ALLOWED = {
    *("P", "BR", "HR", "H3", "H4", "H5", "H6", "STRONG", "EM", "S", "CODE", "PRE", "BLOCKQUOTE", "UL", "OL", "LI"),
    *("TABLE", "THEAD", "TBODY", "TR", "TH", "TD", "A", "SPAN", "DIV", "FIGURE", "FIGCAPTION", "BUTTON"),
    *("svg", "use", "path", "line", "math", "semantics", "annotation"),
}
WATCH = """() => {
  window.breaches = [];
  const note = ({ violatedDirective, sourceFile }) => window.breaches.push(`${violatedDirective} ${sourceFile}`);
  document.addEventListener("securitypolicyviolation", note);
}"""
STREAM = (Path(__file__).parent / "stream_attacks.js").read_text("utf-8")


def test_attacks_are_text_at_every_step_of_a_stream(visitor: Visitor) -> None:
    """Every attack, drawn again after each letter: no element or attribute but those on a short list ever appears."""
    visitor.page.evaluate(WATCH)
    attacks = [*MARKUP, *MARKDOWN, *(f"Text before\n\n> {attack}\n\n1. {attack}\n" for attack in MARKUP)]
    result = visitor.page.evaluate(STREAM, attacks)
    assert result["hacked"] is None
    assert result["breaches"] == []
    strange = [name for name in result["found"] if name not in ALLOWED and not re.fullmatch(r"m[a-z]+", name)]
    assert strange == []


def test_attacks_in_questions_titles_and_names_are_text(come: Come, site: ServerProcess) -> None:
    """The same through the server: as a question, as its echo, as a title in the list, as a user's name."""
    visitor = come().arrive()
    visitor.page.evaluate(WATCH)
    attack = "".join(MARKUP[:4])
    visitor.ask(f"echo {attack}")
    expect(visitor.questions.locator(".question-text")).to_have_text(f"echo {attack}")
    expect(visitor.answers.locator(".markdown")).to_contain_text("<svg onload")
    expect(visitor.page.locator("#conversations a")).to_contain_text("<script>")
    visitor.page.get_by_role("searchbox").fill("script")
    expect(visitor.page.locator("#conversations mark").first).to_be_visible()
    assert visitor.page.evaluate("() => [window.hacked ?? null, window.breaches]") == [None, []]


def test_links_show_where_they_lead(visitor: Visitor) -> None:
    visitor.ask("echo [bank.example](https://evil.example/x) ![picture](https://evil.example/?secret)")
    link = visitor.answers.last.get_by_role("link", name=re.compile("bank"))
    expect(link).to_have_text("bank.example(evil.example)")
    expect(link).to_have_attribute("rel", "noopener noreferrer")
    expect(link).to_have_attribute("target", "_blank")
    expect(visitor.answers.last.get_by_role("link", name="picture")).to_have_attribute(
        "href", "https://evil.example/?secret"
    )
    assert visitor.answers.last.locator("img").count() == 0


def test_the_page_allows_itself_nothing_else(site: ServerProcess) -> None:
    """No inline script or style, no other host, no frame around it."""
    response = httpx.get(site.address)
    policy = response.headers["content-security-policy"]
    for kind in ("default-src", "base-uri", "form-action", "frame-ancestors"):
        assert f"{kind} 'none'" in policy
    for kind in ("script-src", "style-src", "connect-src", "font-src"):
        assert f"{kind} 'self'" in policy
    assert "unsafe" not in policy
    assert response.headers["cross-origin-opener-policy"] == "same-origin"
    assert "parley_session" not in response.text


def test_no_token_is_kept_where_a_script_could_read_it(visitor: Visitor) -> None:
    visitor.ask("hello")
    kept: Any = visitor.page.evaluate("() => JSON.stringify([{...localStorage}, {...sessionStorage}, document.cookie])")
    assert "parley_" not in kept
    cookie = next(cookie for cookie in visitor.context.cookies() if cookie["name"] == "parley_session")
    assert cookie["httpOnly"] and cookie["sameSite"] == "Lax"


def test_text_without_end_does_not_freeze_the_page(visitor: Visitor) -> None:
    """A paragraph of 80 000 letters at full speed: the page goes on answering the reader meanwhile."""
    visitor.page.locator("#model").click()
    visitor.page.get_by_role("menuitemradio", name="Benchmark").click()
    visitor.say("pieces=4000 rate=0 size=20")
    visitor.box.fill("typed meanwhile")
    expect(visitor.box).to_have_value("typed meanwhile")
    assert len(visitor.hear()) >= 79_000
