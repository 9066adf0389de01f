// @ts-check

const CROSSINGS = 16; // of the filter's sinc on each side: some 90 dB away from what would fold back
const FINENESS = 512; // table entries per crossing; between two of them a straight line is near enough
const PASSED = 0.92; // of the lower Nyquist rate: leaves the filter room to fall

/** Sound at another rate, piece by piece, as one stream: no click where two pieces meet. Pure; runs in the audio thread. */
export class Resampler {
  #step;
  #half;
  #cutoff;
  #held;
  #time;

  /** @param {number} fromHz @param {number} toHz */
  constructor(fromHz, toHz) {
    this.#step = fromHz / toHz;
    this.#cutoff = (PASSED * Math.min(fromHz, toHz)) / fromHz;
    this.#half = Math.ceil(CROSSINGS / this.#cutoff);
    this.#held = new Float32Array(this.#half); // silence before the beginning
    this.#time = this.#half;
  }

  /**
   * @param {Float32Array} samples
   * @returns {Float32Array} As many as can be told without the samples that follow.
   */
  push(samples) {
    if (this.#step === 1) return samples.slice();
    const held = new Float32Array(this.#held.length + samples.length);
    held.set(this.#held);
    held.set(samples, this.#held.length);
    const last = held.length - this.#half - 1;
    const count = Math.max(0, Math.floor((last - this.#time) / this.#step) + 1);
    const made = new Float32Array(count);
    for (let i = 0; i < count; i += 1) made[i] = this.#at(held, this.#time + i * this.#step);
    const next = this.#time + count * this.#step;
    const used = Math.min(Math.floor(next) - this.#half, held.length);
    this.#held = held.slice(Math.max(0, used));
    this.#time = next - Math.max(0, used);
    return made;
  }

  /** What the last samples still owe: the end, with silence after it. */
  flush() {
    return this.#step === 1 ? new Float32Array(0) : this.push(new Float32Array(this.#half));
  }

  /** @param {Float32Array} held @param {number} time */
  #at(held, time) {
    const first = Math.max(0, Math.ceil(time - this.#half));
    const last = Math.min(held.length - 1, Math.floor(time + this.#half));
    let sum = 0;
    for (let i = first; i <= last; i += 1) sum += held[i] * weight(Math.abs(time - i) * this.#cutoff);
    return sum * this.#cutoff;
  }
}

const TABLE = Float64Array.from({ length: CROSSINGS * FINENESS + 2 }, (_, i) => {
  const x = i / FINENESS;
  if (x >= CROSSINGS) return 0;
  const sinc = x === 0 ? 1 : Math.sin(Math.PI * x) / (Math.PI * x);
  const phase = (Math.PI * x) / CROSSINGS;
  return sinc * (0.42 + 0.5 * Math.cos(phase) + 0.08 * Math.cos(2 * phase)); // Blackman's window
});

/** @param {number} x Crossings away from the middle. */
function weight(x) {
  const at = x * FINENESS;
  const low = Math.floor(at);
  if (low > CROSSINGS * FINENESS) return 0;
  return TABLE[low] + (TABLE[low + 1] - TABLE[low]) * (at - low);
}
