import assert from "node:assert/strict";
import { describe, it } from "node:test";

import markdownit from "markdown-it";

import { Markdown } from "../../static/js/markdown.js";
import { mathRules } from "../../static/js/math_rules.js";

const render = (source) => markdownit({ html: false, breaks: true }).use(mathRules).render(source).trim();
const inline = (tex) => `<span class="math math-inline">${tex}</span>`;
const block = (tex) => `<span class="math math-block">${tex}</span>`;

describe("formulas", () => {
  it("are found between every pair of marks", () => {
    assert.equal(render("a $x_1*y*$ b"), `<p>a ${inline("x_1*y*")} b</p>`);
    assert.equal(render("\\(a\\\\b\\)"), `<p>${inline("a\\\\b")}</p>`);
    assert.equal(render("so $$x$$ there"), `<p>so ${block("x")} there</p>`);
    assert.equal(render("$$\n- a\n+ b\n$$"), block("- a\n+ b"));
    assert.equal(render("\\[\nx\n\\]\nnext"), `${block("x")}<p>next</p>`);
    assert.equal(render("text\n$$x$$\nmore"), `<p>text</p>\n${block("x")}<p>more</p>`);
    assert.match(render("- item\n  $$\n  x\n  $$"), /<li>item\n?<span class="math math-block">x<\/span><\/li>/);
  });

  it("are not seen in prices, code or escapes", () => {
    for (const plain of ["$5 and $10", "5$ or 6$", "cost: $5, then $ 6", "\\$x\\$", "`$x$`", "$$", "$ x $", "价格是$5和$10。"]) {
      assert.doesNotMatch(render(plain), /class="math/, plain);
    }
  });

  it("hold their source as text, whatever it is", () => {
    assert.equal(render("$<img src=x onerror=alert(1)>$"), `<p>${inline("&lt;img src=x onerror=alert(1)&gt;")}</p>`);
  });

  it("stay together while they are still being written", () => {
    assert.match(render("$$\n\\frac{a_1}{"), /class="math math-block math-open"/);
    for (const source of ["$$\n", "$$ x\n\nafter", "\\[", "> $$\n> x\nafter"]) render(source); // ends, and does not throw
  });
});

describe("Markdown", () => {
  /** The HTML before the sanitizer sees it: already without a tag or address of the source's own. */
  const html = (source) => {
    let seen = "";
    const nothing = { querySelectorAll: () => [] };
    const sanitizer = { fragment: (made) => ((seen = made), nothing) };
    new Markdown({ markdownit, sanitizer }).fragment(source);
    return seen.trim();
  };

  it("makes text of HTML, links of pictures, and classes of styles", () => {
    assert.equal(html("<b onclick=x>hi</b>"), "<p>&lt;b onclick=x&gt;hi&lt;/b&gt;</p>");
    assert.equal(html("![a&b](https://x.example/p.png)"), '<p><a class="picture" href="https://x.example/p.png">a&amp;b</a></p>');
    assert.match(html("|a|\n|-:|\n|1|"), /<th class="align-right">a<\/th>/);
    assert.equal(html("# One"), "<h3>One</h3>");
    assert.doesNotMatch(html("[x](javascript:alert(1)) ![x](data:image/png;base64,x) [y](/v1/x)"), /<a /);
  });

  it("draws tables up to 64 columns; a wider one stays text", () => {
    const table = (columns) => html(`${"|a".repeat(columns)}|\n${"|-".repeat(columns)}|\n|1`);
    assert.match(table(64), /<table>/);
    assert.doesNotMatch(table(65), /<table>/);
  });

  it("answers hostile text quickly", () => {
    const hostile = [">".repeat(12_000), "[".repeat(12_000), "*".repeat(12_000), "`".repeat(12_000), "$".repeat(12_000), "$x".repeat(6_000)];
    hostile.push("\\(".repeat(6_000), "![".repeat(6_000), "*a _b ".repeat(2_000), `${"|a".repeat(1_000)}\n${"|-".repeat(1_000)}\n|1`, "<a ".repeat(4_000));
    hostile.push("- ".repeat(6_000), "https://a.b/".repeat(1_000), "\\[".repeat(6_000));
    for (const text of hostile) html(text); // the runner's limit would tell; `*` and `[` once took minutes in such parsers
  });
});
