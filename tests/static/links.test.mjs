import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { hostToShow, safeAddress } from "../../static/js/links.js";

describe("links in a model's text", () => {
  it("lead to http, https and mailto only, whatever hides in them", () => {
    const refused = [
      "javascript:alert(1)", "JaVaScRiPt:alert(1)", " javascript:alert(1)", "java\tscript:alert(1)", "java\nscript:alert(1)",
      "\u0001javascript:alert(1)", "javascript\u003aalert(1)", "vbscript:x", "data:text/html,<script>alert(1)</script>",
      "file:///etc/passwd", "blob:https://x/1", "//evil.example", "/v1/auth/logout", "#x", "?x", "", "https:evil", "http:/x",
      "about:blank", "filesystem:http://x", "intent://x", "view-source:https://x", "https://", "http://[",
    ]; // prettier-ignore
    for (const address of refused) assert.equal(safeAddress(address), null, JSON.stringify(address));
    for (const address of ["https://a.example/x?y#z", "HTTP://a.example", "mailto:a@b.example"]) assert.ok(safeAddress(address), address);
  });

  it("show the real host when their text names another one", () => {
    const shown = (href, text) => hostToShow(safeAddress(href), text);
    assert.equal(shown("https://evil.example/x", "https://bank.example"), "evil.example");
    assert.equal(shown("https://evil.example/", "www.bank.example/login"), "evil.example");
    assert.equal(shown("https://evil.example/", "Go to bank.example now"), "evil.example");
    assert.equal(shown("https://bank.example.evil.example/", "bank.example"), "bank.example.evil.example");
    assert.equal(shown("https://bank.example@evil.example/", "bank.example"), "evil.example");
    assert.equal(shown("https://bаnk.example/", "bank.example"), "xn--bnk-6cd.example");
    assert.equal(shown("https://www.bank.example/a", "bank.example"), null);
    assert.equal(shown("https://docs.example/a", "the documentation"), null);
    assert.equal(shown("https://github.example/x", "README.md"), "github.example");
    assert.equal(shown("mailto:a@b.example", "a@c.example"), null);
  });
});
