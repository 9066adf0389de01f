// @ts-check

const WINDOW_MS = 2_000;

/** How many pieces a second come, over the last two seconds. Pure: the caller tells the time. */
export class RateMeter {
  /** @type {{at: number, count: number}[]} */
  #seen = [];
  #sum = 0;

  /** @param {number} count @param {number} now Milliseconds. */
  add(count, now) {
    this.#seen.push({ at: now, count });
    this.#sum += count;
    this.#forget(now);
  }

  /** @param {number} now */
  rate(now) {
    this.#forget(now);
    const first = this.#seen[0];
    if (!first) return 0;
    return Math.round(this.#sum / (Math.max(now - first.at, 500) / 1_000));
  }

  /** @param {number} now */
  #forget(now) {
    while (this.#seen.length && this.#seen[0].at < now - WINDOW_MS) {
      this.#sum -= /** @type {{count: number}} */ (this.#seen.shift()).count;
    }
  }
}
