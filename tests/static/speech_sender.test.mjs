import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { BYTES_PER_SECOND, FRAME_BYTES } from "../../static/js/pcm_framer.js";
import { SpeechSender } from "../../static/js/speech_sender.js";

/** The server's side: takes bytes in order, drops what it has, refuses holes and more than it can keep. */
class Ear {
  bytes = [];
  isUp = true;
  take(at, pcm) {
    if (!this.isUp) return false;
    const { length } = this.bytes;
    if (at <= length) this.bytes.push(...new Uint8Array(pcm).subarray(length - at));
    return true;
  }
}

const frame = (number, size = FRAME_BYTES) => new Uint8Array(size).fill(number % 251).buffer;
const recorded = (count) => Array.from({ length: count }, (_, i) => [...new Uint8Array(frame(i))]).flat();

describe("SpeechSender", () => {
  it("keeps what is said before the server has answered, and sends it then", () => {
    const ear = new Ear();
    const sender = new SpeechSender((at, pcm) => ear.take(at, pcm));
    for (let i = 0; i < 5; i += 1) sender.push(frame(i));
    assert.equal(ear.bytes.length, 0);
    assert.equal(sender.isAllSent, false);
    sender.open(0);
    assert.deepEqual(ear.bytes, recorded(5));
    assert.equal(sender.isAllSent, true);
  });

  it("never has more on the way than the server can keep", () => {
    let sent = 0;
    const sender = new SpeechSender((at, pcm) => ((sent = at + pcm.byteLength), true));
    sender.open(0);
    for (let i = 0; i < 200; i += 1) sender.push(frame(i));
    assert.ok(sent < 2 * BYTES_PER_SECOND);
    assert.equal(sender.isAllSent, false);
    while (sent < sender.total) {
      const before = sent;
      sender.acknowledged(sent);
      assert.ok(sent > before && sent - before < 2 * BYTES_PER_SECOND);
    }
    assert.equal(sender.isAllSent, true);
  });

  it("goes on after a lost line from where the server is, even within a frame", () => {
    const ear = new Ear();
    const sender = new SpeechSender((at, pcm) => ear.take(at, pcm));
    sender.open(0);
    for (let i = 0; i < 10; i += 1) sender.push(frame(i));
    ear.isUp = false;
    for (let i = 10; i < 20; i += 1) sender.push(frame(i));
    ear.isUp = true;
    ear.bytes.length = 7 * FRAME_BYTES + 400; // the last ones never arrived
    sender.open(ear.bytes.length);
    assert.deepEqual(ear.bytes, recorded(20));
  });

  it("sends again from `next` after an overrun, and nothing that was acknowledged", () => {
    const places = [];
    const sender = new SpeechSender((at) => (places.push(at / FRAME_BYTES), true));
    sender.open(0);
    for (let i = 0; i < 6; i += 1) sender.push(frame(i));
    sender.acknowledged(2 * FRAME_BYTES);
    sender.acknowledged(FRAME_BYTES); // a late one
    sender.goBack(4 * FRAME_BYTES);
    assert.deepEqual(places, [0, 1, 2, 3, 4, 5, 4, 5]);
  });

  it("does not believe an acknowledgement of bytes that were never recorded", () => {
    const sender = new SpeechSender(() => true);
    sender.open(0);
    sender.push(frame(0));
    sender.acknowledged(1e9);
    assert.equal(sender.next, 0);
  });

  it("says when a line has been away for longer than it can keep", () => {
    const sender = new SpeechSender(() => true);
    let kept = 0;
    while (sender.push(frame(kept))) kept += 1;
    assert.equal(Math.round((kept * FRAME_BYTES) / BYTES_PER_SECOND), 180);
    sender.open(0);
    assert.equal(sender.push(frame(1)), false);
    sender.acknowledged(FRAME_BYTES);
    assert.equal(sender.push(frame(1)), true);
  });

  it("takes every byte once, whatever happens to the line", () => {
    let seed = 7;
    const random = (most) => (seed = (seed * 48_271) % 2_147_483_647) % most;
    for (let round = 0; round < 20; round += 1) {
      const ear = new Ear();
      const sender = new SpeechSender((at, pcm) => ear.take(at, pcm));
      sender.open(0);
      for (let i = 0; i < 120; i += 1) {
        sender.push(frame(i));
        const chance = random(10);
        if (chance === 0) ear.isUp = false;
        else if (chance === 1) {
          ear.isUp = true;
          ear.bytes.length -= 2 * random(Math.min(ear.bytes.length - sender.next, FRAME_BYTES) / 2 + 1);
          sender.open(ear.bytes.length);
        } else if (chance < 5 && ear.isUp) sender.acknowledged(ear.bytes.length);
        else if (chance === 5 && ear.isUp) sender.goBack(ear.bytes.length);
      }
      ear.isUp = true;
      sender.open(ear.bytes.length);
      for (let i = 0; i < 10; i += 1) sender.acknowledged(ear.bytes.length);
      assert.deepEqual(ear.bytes, recorded(120));
    }
  });
});
