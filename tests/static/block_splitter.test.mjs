import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { BlockSplitter } from "../../static/js/block_splitter.js";

const ANSWER = `# Title
Text under it,
two lines.

- one
- two

  still two
- three

After the list.
\`\`\`python
def f():

    return "\`\`"
\`\`\`
1. first

   \`\`\`sh
   ls
   \`\`\`

2. second

> quoted
> more

| a | b |
|---|---|
| 1 | 2 |

$$
x = 1
# y
$$

~~~
tilde \`\`\`
~~~
The end`;

const shape = (splitter) => splitter.blocks.map(({ kind, info, source }) => [kind, info, source]);

function split(text, cuts = []) {
  const splitter = new BlockSplitter();
  let at = 0;
  for (const cut of [...cuts, text.length]) {
    splitter.push(text.slice(at, cut));
    at = cut;
  }
  splitter.finish();
  return splitter;
}

describe("BlockSplitter", () => {
  it("cuts an answer where nothing later can change what stands before", () => {
    const blocks = shape(split(ANSWER));
    assert.deepEqual(
      blocks.map(([kind, info]) => `${kind}${info && ` ${info}`}`),
      ["flow", "flow", "flow", "flow", "code python", "flow", "flow", "flow", "flow", "code", "flow"],
    );
    assert.equal(blocks[4][2], 'def f():\n\n    return "``"\n');
    assert.match(blocks[5][2], /^1\. first[\s\S]*2\. second\n/);
    assert.equal(blocks[9][2], "tilde ```\n");
  });

  it("gives the same blocks however the text is cut into pieces", () => {
    const whole = shape(split(ANSWER));
    for (let size = 1; size <= 7; size += 1) {
      const cuts = Array.from({ length: Math.floor(ANSWER.length / size) }, (_, i) => (i + 1) * size);
      assert.deepEqual(shape(split(ANSWER, cuts)), whole, `pieces of ${size}`);
    }
    for (let cut = 1; cut < ANSWER.length; cut += 1) assert.deepEqual(shape(split(ANSWER, [cut])), whole, `cut at ${cut}`);
  });

  it("changes only the last blocks while text streams", () => {
    const splitter = new BlockSplitter();
    let settled = 0;
    for (const letter of ANSWER.repeat(3)) {
      splitter.push(letter);
      assert.ok(splitter.firstChanged >= settled - 1, "a settled block was touched");
      splitter.firstChanged = splitter.blocks.length;
      const open = splitter.blocks.findIndex((block) => block.isOpen);
      assert.ok(open === -1 || open === splitter.blocks.length - 1, "only the last block is open");
      settled = splitter.blocks.length;
    }
  });

  it("shows everything that came, at every step, except a fence in the making", () => {
    const text = "Hello **wor\n\n- item one\n- it";
    const splitter = new BlockSplitter();
    for (let at = 0; at < text.length; at += 1) {
      splitter.push(text[at]);
      const shown = splitter.blocks.map((block) => block.source + block.partial).join("");
      assert.equal(shown.replace(/\s/g, ""), text.slice(0, at + 1).replace(/\s/g, ""));
    }
  });

  it("leaves no ghost of an opening fence, nor of its closing one", () => {
    const splitter = new BlockSplitter();
    const steps = [];
    for (const letter of "Hi\n\n```js\n1\n```\n") {
      splitter.push(letter);
      steps.push(shape(splitter).map(([kind]) => kind).join(" "));
      for (const block of splitter.blocks) assert.doesNotMatch(block.source + block.partial, /```/);
    }
    assert.deepEqual([...new Set(steps)], ["flow", "flow flow", "flow code"]);
  });

  it("bounds a block, so that a hostile or endless text costs no more than a page of it", () => {
    const hostile = {
      line: "x".repeat(1_000_000),
      quotes: ">".repeat(10_000) + " deep",
      list: "- item\n".repeat(20_000),
      table: `${"|a".repeat(1_000)}|\n${"|-".repeat(1_000)}|\n${`${"|1".repeat(1_000)}|\n`.repeat(50)}`,
      words: "word ".repeat(100_000),
      math: `$$\n${"x + y\n".repeat(20_000)}`,
      pairs: "🦊".repeat(50_000),
    };
    for (const [name, text] of Object.entries(hostile)) {
      const splitter = split(text, [5, 11_999, 12_001]);
      const longest = Math.max(...splitter.blocks.map((block) => block.source.length));
      assert.ok(longest <= 30_000, `${name}: ${longest}`);
      for (const block of splitter.blocks) assert.ok(block.source.isWellFormed(), name);
    }
  });

  it("repeats a long table's head, so that its rows stay a table", () => {
    const splitter = split(`| a | b |\n|---|---|\n${"| 1 | 2 |\n".repeat(3_000)}`);
    assert.ok(splitter.blocks.length > 2);
    for (const block of splitter.blocks.slice(0, -1)) assert.match(block.source, /^\| a \| b \|\n\|---\|---\|\n\| 1/);
  });

  it("keeps an unclosed fence one block of code, however long", () => {
    const splitter = split(`\`\`\`\n${"line\n\n".repeat(20_000)}`);
    assert.equal(splitter.blocks.length, 1);
    assert.equal(splitter.blocks[0].source.length, 120_000);
  });

  it("reads line breaks of Windows", () => {
    assert.deepEqual(shape(split("a\r\n\r\n```js\r\n1\r\n```\r\nb")), shape(split("a\n\n```js\n1\n```\nb")));
  });
});
