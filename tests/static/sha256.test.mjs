import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { it } from "node:test";

import { countCodePoints, takeCodePoints } from "../../static/js/code_points.js";
import { digest, sha256 } from "../../static/js/sha256.js";

it("hashes like everyone else, with the browser's help and without", async () => {
  for (const length of [0, 1, 3, 55, 56, 57, 63, 64, 65, 119, 120, 1000, 70_001]) {
    const text = "é𝒜x春".repeat(length).slice(0, length).replace(/[\uD800-\uDBFF]$/, "");
    const expected = createHash("sha256").update(text, "utf8").digest("hex");
    assert.equal(await sha256(text), expected);
    assert.equal(Buffer.from(digest(new TextEncoder().encode(text))).toString("hex"), expected);
  }
});

it("counts and takes code points, not UTF-16 units", () => {
  const text = "a𝒜春🦊e\u0301";
  assert.equal(countCodePoints(text), [...text].length);
  for (let n = 0; n <= 8; n += 1) assert.equal(takeCodePoints(text, n), [...text].slice(0, n).join(""));
});
