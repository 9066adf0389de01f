import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { describe, it } from "node:test";

import { I18n } from "../../static/js/i18n.js";
import { en } from "../../static/js/words_en.js";
import { zh } from "../../static/js/words_zh.js";

const STATIC = new URL("../../static/", import.meta.url);
const places = (words) => [...words.matchAll(/\{\w+\}/g)].map(String).sort();

describe("the page's words", () => {
  it("are the same in both languages, with the same places", () => {
    assert.deepEqual(Object.keys(zh), Object.keys(en));
    for (const key of Object.keys(en)) assert.deepEqual(places(zh[key]), places(en[key]), key);
  });

  it("hold every word that the page asks for by name", () => {
    const sources = readdirSync(new URL("js/", STATIC)).map((name) => readFileSync(new URL(`js/${name}`, STATIC), "utf8"));
    const html = readFileSync(new URL("index.html", STATIC), "utf8");
    const asked = [
      ...html.matchAll(/data-t(?:-label|-placeholder)?="(\w+)"/g),
      ...sources.flatMap((source) => [...source.matchAll(/\bt(?:Label|Placeholder)?: "(\w+)"|\bi18n\.t\("(\w+)"/g)]),
    ].map((match) => match[1] ?? match[2]);
    assert.ok(asked.length > 80);
    for (const key of asked) assert.ok(key in en, key);
  });

  it("say what happened and what to do for every code of the protocol", () => {
    const codes =
      "unauthenticated forbidden not_found conflict invalid_request too_large unsupported_media rate_limited quota_exceeded " +
      "model_unknown model_unavailable vendor_refused vendor_timeout vendor_overloaded content_blocked voice_overrun interrupted " +
      "server_busy internal";
    for (const code of codes.split(" ")) for (const words of [en, zh]) assert.ok(words[`error_${code}`] && words[`error_${code}_next`], code);
  });

  it("follow the browser, and fall back to English", () => {
    assert.equal(new I18n(["fr-FR", "zh-TW", "en"]).t("send"), "发送");
    assert.equal(new I18n(["fr"]).t("send"), "Send");
    assert.equal(new I18n(["en"]).t("letters_left", { n: 3 }), "3 characters left");
  });
});
