// @ts-check

const BEGIN_FRAMES = 3; // 120 ms: longer than a click of the mouse
const END_FRAMES = 28; // 1.1 s: longer than a breath
const KEPT_FRAMES = 10; // 400 ms before the beginning was noticed belong to it
const ABOVE_NOISE = 3; // times, some 10 dB
const QUIETEST = 0.004;

/**
 * Finds where speech begins and ends by its loudness above the room's noise, so that hands need not tell. One frame
 * is 40 ms. Pure.
 * @template T
 */
export class SpeechDetector {
  isSpeaking = false;
  #noise = QUIETEST;
  #loud = 0;
  #quiet = 0;
  /** @type {T[]} */
  #kept = [];

  /**
   * @param {number} level
   * @param {T} frame
   * @returns {{frames: T[], hasBegun: boolean, hasEnded: boolean}} `frames`: what belongs to the speech.
   */
  push(level, frame) {
    const isLoud = level > Math.max(QUIETEST, this.#noise * ABOVE_NOISE);
    // Down at once, up slowly: a voice does not become the room's noise, a fan that was switched on does.
    this.#noise = level < this.#noise ? level : this.#noise + (level - this.#noise) * (this.isSpeaking ? 0.002 : 0.02);
    this.#loud = isLoud ? this.#loud + 1 : 0;
    this.#quiet = isLoud ? 0 : this.#quiet + 1;
    return this.isSpeaking ? this.#within(frame) : this.#before(frame);
  }

  /** Forget what was heard: a new speech begins from silence. */
  reset() {
    this.isSpeaking = false;
    this.#loud = 0;
    this.#quiet = 0;
    this.#kept = [];
  }

  /** @param {T} frame */
  #within(frame) {
    const hasEnded = this.#quiet >= END_FRAMES;
    if (hasEnded) this.reset();
    return { frames: [frame], hasBegun: false, hasEnded };
  }

  /** @param {T} frame */
  #before(frame) {
    this.#kept.push(frame);
    if (this.#kept.length > KEPT_FRAMES) this.#kept.shift();
    if (this.#loud < BEGIN_FRAMES) return { frames: [], hasBegun: false, hasEnded: false };
    const frames = this.#kept;
    this.reset();
    this.isSpeaking = true;
    return { frames, hasBegun: true, hasEnded: false };
  }
}
