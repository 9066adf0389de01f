import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { describe, it } from "node:test";

import { TurnStream } from "../../static/js/turn_stream.js";

const sha = (text) => createHash("sha256").update(text, "utf8").digest("hex");

/** A server's log, and a viewer of it whose requests are answered by hand or at once. */
class Bench {
  asked = [];
  changes = [];

  constructor() {
    this.stream = new TurnStream({ turn: "t", attach: (position) => this.asked.push(position) });
    this.stream.listen((change) => this.changes.push(change.kind));
    this.ended = new Promise((resolve) => this.stream.listen((change) => change.kind === "end" && resolve()));
  }

  delta(offset, text, { count = 1, epoch = 1, kind = "text" } = {}) {
    this.stream.receive("turn_delta", { turn: "t", epoch, offset, count, kind, text });
  }

  end(offset, text, { epoch = 1, status = "done" } = {}) {
    this.stream.receive("turn_end", { turn: "t", epoch, offset, status, length: [...text].length, sha256: sha(text) });
  }
}

describe("TurnStream", () => {
  it("applies each entry once and in order", async () => {
    const bench = new Bench();
    bench.stream.receive("turn_state", { turn: "t", epoch: 1, offset: 1, state: "answering" });
    bench.delta(2, "春眠", { count: 2 });
    bench.delta(2, "春眠", { count: 2 });
    bench.delta(4, "不觉晓");
    bench.end(5, "春眠不觉晓");
    await bench.ended;
    assert.equal(bench.stream.text, "春眠不觉晓");
    assert.equal(bench.stream.state, "answering");
    assert.equal(bench.stream.isVerified, true);
    assert.deepEqual(bench.asked, []);
  });

  it("asks once for what a gap hides, and takes nothing until it came", () => {
    const bench = new Bench();
    bench.delta(1, "a");
    bench.delta(3, "c");
    bench.delta(4, "d");
    assert.deepEqual(bench.asked, [{ turn: "t", epoch: 1, after: 1 }]);
    bench.stream.attached({ epoch: 1, from: 1 });
    bench.delta(2, "bcd", { count: 3 });
    bench.delta(4, "d");
    assert.equal(bench.stream.text, "abcd");
  });

  it("asks again at the next gap when an attach failed", () => {
    const bench = new Bench();
    bench.delta(2, "b");
    bench.stream.attachFailed();
    bench.delta(3, "c");
    assert.equal(bench.asked.length, 2);
  });

  it("ignores an older epoch and attaches for a newer one it was not told of", () => {
    const bench = new Bench();
    bench.stream.attached({ epoch: 2, from: 4, text: "kept" });
    bench.delta(5, "old", { epoch: 1 });
    assert.deepEqual(bench.asked, []);
    bench.delta(5, "new", { epoch: 3 });
    assert.deepEqual(bench.asked, [{ turn: "t", epoch: 2, after: 4 }]);
    assert.equal(bench.stream.text, "kept");
  });

  it("rewinds by code points and goes on after the offset it is told", () => {
    const bench = new Bench();
    bench.delta(1, "thought", { kind: "reasoning" });
    bench.delta(2, "𝒜𝒷c");
    bench.delta(3, "wrong");
    bench.stream.receive("turn_rewind", { turn: "t", epoch: 2, offset: 2, length: 2 });
    assert.equal(bench.stream.text, "𝒜𝒷");
    assert.equal(bench.stream.reasoning, "thought");
    bench.delta(3, "late", { epoch: 1 });
    bench.delta(3, "right", { epoch: 2 });
    assert.equal(bench.stream.text, "𝒜𝒷right");
  });

  it("forgets reasoning that a rewind made void", () => {
    const bench = new Bench();
    bench.delta(1, "one", { kind: "reasoning" });
    bench.delta(2, "two", { kind: "reasoning" });
    bench.stream.receive("turn_rewind", { turn: "t", epoch: 2, offset: 1, length: 0 });
    assert.equal(bench.stream.reasoning, "one");
  });

  it("replaces its text when the position is no longer kept", () => {
    const bench = new Bench();
    bench.delta(1, "abc");
    bench.delta(9, "z");
    bench.stream.attached({ epoch: 1, from: 20, text: "the whole answer" });
    assert.equal(bench.stream.text, "the whole answer");
    bench.delta(21, "!");
    assert.equal(bench.stream.text, "the whole answer!");
  });

  it("replays from the beginning when length or hash differ, and then agrees", async () => {
    const bench = new Bench();
    bench.delta(1, "abd");
    bench.end(2, "abc");
    await bench.settled?.();
    await new Promise((resolve) => setImmediate(resolve));
    while (!bench.asked.length) await new Promise((resolve) => setImmediate(resolve));
    assert.deepEqual(bench.asked, [{ turn: "t", epoch: 1, after: 0 }]);
    bench.stream.attached({ epoch: 1, from: 0 });
    assert.equal(bench.stream.text, "");
    bench.delta(1, "abc");
    bench.end(2, "abc");
    await bench.ended;
    assert.equal(bench.stream.text, "abc");
    assert.equal(bench.stream.isVerified, true);
  });

  it("ends unverified, for the store to correct, when replays do not help", async () => {
    const bench = new Bench();
    bench.stream.attach = ((attach) => () => {
      attach();
      bench.stream.attached({ epoch: 1, from: 0 });
      bench.delta(1, "abd");
      bench.end(2, "abc");
    })(bench.stream.attach.bind(bench.stream));
    bench.delta(1, "abd");
    bench.end(2, "abc");
    await bench.ended;
    assert.equal(bench.stream.isVerified, false);
    assert.equal(bench.asked.length, 2);
  });

  it("takes nothing after its ending", async () => {
    const bench = new Bench();
    bench.delta(1, "a");
    bench.end(2, "a", { status: "stopped" });
    await bench.ended;
    bench.delta(3, "b");
    bench.end(3, "a");
    assert.equal(bench.stream.text, "a");
    assert.equal(bench.stream.ending.status, "stopped");
    assert.equal(bench.changes.filter((kind) => kind === "end").length, 1);
  });

  it("gives the same text however the log is cut, repeated and interrupted", () => {
    const log = [..."The quick 棕色 fox 🦊 jumps"].map((text, i) => ({ offset: i + 1, text }));
    const whole = log.map((entry) => entry.text).join("");
    for (let seed = 1; seed <= 200; seed += 1) {
      let state = seed;
      const random = (below) => (state = (state * 48271) % 2147483647) % below;
      const bench = new Bench();
      let at = 0;
      for (let steps = 0; bench.stream.last < log.length && steps < 500; steps += 1) {
        if (bench.asked.length) {
          at = bench.asked.pop().after;
          bench.stream.attached({ epoch: 1, from: at });
        }
        if (random(4) === 0) at = Math.min(log.length - 1, at + random(3)); // pieces are lost
        if (random(6) === 0) at = Math.max(0, at - random(4)); // pieces come twice
        const count = 1 + random(Math.min(4, log.length - at));
        const pieces = log.slice(at, at + count);
        if (pieces.length) bench.delta(at + 1, pieces.map((entry) => entry.text).join(""), { count: pieces.length });
        at += pieces.length;
        if (at >= log.length) at = log.length - 1;
      }
      assert.equal(bench.stream.text, whole, `seed ${seed}`);
    }
  });
});
