import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { MessageTree } from "../../static/js/message_tree.js";

const message = (id, parent, created_ms, role = "user") => ({ id, parent, created_ms, role, text: id });
const ids = (tree) => tree.path().map(({ id }) => id);

function grown() {
  const tree = new MessageTree();
  tree.merge([
    message("q1", null, 1),
    message("a1", "q1", 2, "assistant"),
    message("a2", "q1", 3, "assistant"),
    message("q2", "a1", 4),
    message("a3", "q2", 5, "assistant"),
    message("q3", "a1", 6),
  ]);
  return tree;
}

describe("MessageTree", () => {
  it("shows the newest version at every fork, until another is chosen", () => {
    const tree = grown();
    assert.deepEqual(ids(tree), ["q1", "a2"]);
    tree.select("q2");
    assert.deepEqual(ids(tree), ["q1", "a1", "q2", "a3"]);
    assert.deepEqual(tree.versions(tree.get("q2")), { index: 0, ids: ["q2", "q3"] });
    tree.select("a2");
    assert.deepEqual(ids(tree), ["q1", "a2"]);
    tree.select("a1");
    assert.deepEqual(ids(tree), ["q1", "a1", "q2", "a3"], "the branch chosen below is remembered");
  });

  it("takes the conversation's own id as no parent", () => {
    const tree = new MessageTree();
    tree.merge([message("q1", "c", 1), message("q2", "c", 2)], "c");
    assert.deepEqual(tree.versions(tree.get("q2")).ids, ["q1", "q2"]);
    assert.equal(tree.get("q1").parent, null);
  });

  it("brings messages up to date and keeps what only the page knows", () => {
    const tree = grown();
    tree.get("a3").stream = "live";
    tree.merge([{ ...message("a3", "q2", 5, "assistant"), text: "more" }]);
    assert.equal(tree.get("a3").text, "more");
    assert.equal(tree.get("a3").stream, "live");
    assert.equal(tree.get("a3").key, "a3");
  });

  it("lets a local message become the stored one, in place", () => {
    for (const isStoredFirst of [false, true]) {
      const tree = grown();
      tree.select("q3");
      tree.merge([message("local:q", "q3", Infinity), message("local:a", "local:q", Infinity, "assistant")]);
      tree.select("local:a");
      const stored = [message("q9", "q3", 8), message("a9", "q9", 9, "assistant")];
      if (isStoredFirst) tree.merge(stored);
      tree.adopt("local:a", "a9");
      tree.adopt("local:q", "q9");
      tree.merge(stored);
      assert.deepEqual(ids(tree), ["q1", "a1", "q3", "q9", "a9"]);
      assert.deepEqual(tree.path().slice(-2).map(({ key }) => key), ["local:q", "local:a"]);
      assert.equal(tree.all().length, 8);
    }
  });

  it("survives parents that are missing or go in a circle", () => {
    const tree = new MessageTree();
    tree.merge([message("x", "y", 1), message("y", "x", 2), message("z", "gone", 3)]);
    tree.select("x");
    assert.deepEqual(ids(tree), ["z"]);
  });
});
