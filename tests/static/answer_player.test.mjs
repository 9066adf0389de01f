import assert from "node:assert/strict";
import { beforeEach, describe, it } from "node:test";

import { AnswerPlayer } from "../../static/js/answer_player.js";

const RATE = 16_000;

class FakeContext {
  currentTime = 0;
  destination = {};
  sounding = [];
  async resume() {}
  createBuffer(_channels, length, rate) {
    return { duration: length / rate, copyToChannel() {} };
  }
  createBufferSource() {
    const source = { connect() {}, start: (at) => this.sounding.push({ source, at }), stop: () => this.end(source), onended: null };
    return source;
  }
  end(source) {
    this.sounding = this.sounding.filter((one) => one.source !== source);
  }
  /** Time passes; what has been played to its end says so. */
  pass(seconds) {
    this.currentTime += seconds;
    for (const { source, at } of [...this.sounding]) {
      if (at + source.buffer.duration > this.currentTime) continue;
      this.end(source);
      source.onended?.();
    }
  }
}

let context, asked, hushed, failed, changes, player;
const second = (fields = {}) => player.receive("voice_speech", { turn: "t1", sentence: 0, at: 0, rate: RATE, pcm: new ArrayBuffer(2 * RATE), ...fields });
const settled = () => new Promise((resolve) => setImmediate(resolve));

beforeEach(() => {
  [context, asked, hushed, failed, changes] = [new FakeContext(), [], [], [], 0];
  player = new AnswerPlayer({
    channel: { ask: async (name, payload) => (asked.push([name, payload]), { ok: true, heard_chars: 7 }) },
    makeContext: () => context,
    onChange: () => (changes += 1),
    onHushed: (...told) => hushed.push(told),
    onFailed: (error) => failed.push(error),
  });
  player.expect("t1");
});

describe("AnswerPlayer", () => {
  it("plays pieces one after another, and is over when the last one has sounded", () => {
    second();
    second();
    const [first, next] = context.sounding;
    assert.equal(next.at, first.at + 1);
    assert.ok(player.isPlaying);
    player.receive("voice_speech_over", { turn: "t1", reason: "done", ms: 2_000 });
    context.pass(1.5);
    assert.ok(player.isPlaying);
    context.pass(1);
    assert.ok(!player.isPlaying);
    assert.equal(player.hush(), false);
    assert.deepEqual(asked, []);
  });

  it("is silent at once, says how much was heard, and plays nothing of that answer any more", async () => {
    second();
    second();
    context.pass(1.56);
    assert.equal(player.hush(), true);
    assert.deepEqual([context.sounding, player.isPlaying], [[], false]);
    second();
    assert.deepEqual(context.sounding, []);
    await settled();
    assert.deepEqual(asked, [["voice_hush", { turn: "t1", heard: 1_500 }]]);
    assert.deepEqual(hushed, [["t1", 7]]);
  });

  it("counts no silence between pieces that came late", () => {
    second();
    context.pass(5);
    second();
    context.pass(0.56);
    player.hush();
    assert.equal(asked[0][1].heard, 1_500);
  });

  it("plays no other answer, and falls silent with an answer that is stopped", () => {
    second({ turn: "t2" });
    assert.deepEqual(context.sounding, []);
    second();
    player.receive("voice_speech_over", { turn: "t1", reason: "stopped", ms: 1_000 });
    assert.deepEqual(context.sounding, []);
  });

  it("lets what has come sound to its end when the voice fails", () => {
    second();
    player.receive("voice_speech_over", { turn: "t1", reason: "failed", ms: 1_000, error: { code: "vendor_refused" } });
    assert.equal(failed[0].code, "vendor_refused");
    assert.ok(player.isPlaying);
    context.pass(2);
    assert.ok(!player.isPlaying);
  });
});
