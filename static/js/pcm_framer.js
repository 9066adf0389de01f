// @ts-check

/** 40 ms at 16 kHz: what the server's recognisers take at once. */
export const FRAME_BYTES = 1_280;
export const RATE_HZ = 16_000;
export const BYTES_PER_SECOND = 2 * RATE_HZ;

/** @typedef {{pcm: ArrayBuffer, level: number}} Frame `level`: root mean square, 0 to 1. */

/** Cuts samples into frames of 16-bit little-endian PCM. Pure; runs in the audio thread. */
export class PcmFramer {
  #view = new DataView(new ArrayBuffer(FRAME_BYTES));
  #filled = 0;
  #energy = 0;

  /**
   * @param {Float32Array} samples From -1 to 1; louder ones are cut.
   * @returns {Frame[]} The frames that are full.
   */
  push(samples) {
    const frames = [];
    for (const sample of samples) {
      const value = Math.max(-1, Math.min(1, sample || 0)); // a driver's NaN is silence
      this.#view.setInt16(this.#filled, Math.round(value * 32_767), true);
      this.#filled += 2;
      this.#energy += value * value;
      if (this.#filled === FRAME_BYTES) frames.push(this.#take());
    }
    return frames;
  }

  /** The last frame, which may be shorter. @returns {Frame[]} */
  flush() {
    return this.#filled ? [this.#take()] : [];
  }

  #take() {
    const pcm = this.#view.buffer.slice(0, this.#filled);
    const level = Math.sqrt(this.#energy / (this.#filled / 2));
    this.#filled = 0;
    this.#energy = 0;
    return { pcm, level };
  }
}
