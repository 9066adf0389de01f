import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { FRAME_BYTES, PcmFramer, RATE_HZ } from "../../static/js/pcm_framer.js";
import { Resampler } from "../../static/js/resampler.js";
import { SpeechDetector } from "../../static/js/speech_detector.js";

const tone = (hz, rate, seconds) => Float32Array.from({ length: rate * seconds }, (_, i) => 0.5 * Math.sin((2 * Math.PI * hz * i) / rate));
const loudness = (samples) => Math.sqrt(samples.reduce((sum, value) => sum + value * value, 0) / samples.length);

/** Through a resampler in pieces of `size`, as an audio thread hands them over. */
function resampled(samples, from, size = 128) {
  const resampler = new Resampler(from, RATE_HZ);
  const made = [];
  for (let at = 0; at < samples.length; at += size) made.push(...resampler.push(samples.subarray(at, at + size)));
  made.push(...resampler.flush());
  return Float32Array.from(made);
}

describe("Resampler", () => {
  for (const from of [8_000, 11_025, 22_050, 44_100, 48_000, 96_000]) {
    it(`keeps a voice's tones from ${from} Hz, in time and in loudness`, () => {
      const made = resampled(tone(1_000, from, 1), from);
      assert.ok(Math.abs(made.length - RATE_HZ) <= 2, `${made.length} samples`);
      const wanted = tone(1_000, RATE_HZ, 1);
      const worst = made.slice(200, 15_800).reduce((most, value, i) => Math.max(most, Math.abs(value - wanted[i + 200])), 0);
      assert.ok(worst < 0.005, `off by ${worst}`);
    });
  }

  it("lets nothing fold back that 16 kHz cannot carry", () => {
    for (const hz of [9_000, 12_000, 15_500, 20_000]) {
      const made = resampled(tone(hz, 48_000, 1), 48_000).slice(200, -200);
      assert.ok(loudness(made) < 0.001, `${hz} Hz comes back at ${loudness(made)}`);
    }
  });

  it("gives the same samples however its input is cut", () => {
    const voice = tone(440, 44_100, 0.5);
    const whole = resampled(voice, 44_100, voice.length);
    for (const size of [1, 128, 441, 1_000]) {
      const made = resampled(voice, 44_100, size);
      assert.equal(made.length, whole.length);
      assert.ok(made.every((value, i) => Math.abs(value - whole[i]) < 1e-6), `pieces of ${size}`);
    }
  });

  it("leaves sound alone that has the rate already", () => {
    const voice = tone(440, RATE_HZ, 0.1);
    assert.deepEqual(resampled(voice, RATE_HZ), voice);
  });
});

describe("PcmFramer", () => {
  it("makes frames of 40 ms, little-endian, cut at full scale, with the rest at the end", () => {
    const framer = new PcmFramer();
    const samples = new Float32Array(700).fill(0.25);
    samples.set([1, -1, 2, -2, NaN, 0]);
    const frames = [...framer.push(samples.subarray(0, 300)), ...framer.push(samples.subarray(300)), ...framer.flush()];
    assert.deepEqual(frames.map(({ pcm }) => pcm.byteLength), [FRAME_BYTES, 120]);
    const view = new DataView(frames[0].pcm);
    assert.deepEqual([0, 2, 4, 6, 8, 10, 12].map((at) => view.getInt16(at, true)), [32_767, -32_767, 32_767, -32_767, 0, 0, 8_192]);
    assert.ok(Math.abs(frames[1].level - 0.25) < 1e-6);
    assert.deepEqual(framer.flush(), []);
  });
});

describe("SpeechDetector", () => {
  /** Levels to the numbers of the frames that were found to be speech, with its borders. */
  function found(levels) {
    const detector = new SpeechDetector();
    const parts = [];
    levels.forEach((level, i) => {
      const { frames, hasBegun, hasEnded } = detector.push(level, i);
      if (hasBegun) parts.push([]);
      if (frames.length) parts.at(-1).push(...frames);
      if (hasEnded) parts.push("end");
    });
    return parts;
  }
  const run = (count, level) => Array(count).fill(level);

  it("takes in what was said just before it noticed, and a breath between two words", () => {
    const [speech, end, ...more] = found([...run(40, 0.001), ...run(20, 0.2), ...run(15, 0.001), ...run(20, 0.2), ...run(60, 0.001)]);
    assert.equal(speech[0], 33); // frames 40 to 42 were loud; ten before the third belong to it
    assert.deepEqual(speech, Array.from({ length: speech.length }, (_, i) => i + 33));
    assert.equal(speech.at(-1), 94 + 28);
    assert.deepEqual([end, more], ["end", []]);
  });

  it("does not take a click, or a room's steady noise, for speech", () => {
    assert.deepEqual(found([...run(40, 0.001), 0.5, 0.5, ...run(100, 0.001)]), []);
    assert.deepEqual(found(run(500, 0.0035)), []);
    assert.equal(found([...run(2_000, 0.05), ...run(100, 0.05)]).filter((part) => part === "end").length <= 1, true);
  });

  it("finds each of several speeches", () => {
    const once = [...run(60, 0.002), ...run(30, 0.1)];
    assert.equal(found([...once, ...once, ...once, ...run(60, 0.002)]).filter((part) => part === "end").length, 3);
  });
});
