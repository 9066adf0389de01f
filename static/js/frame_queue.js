// @ts-check

const BUDGET_MS = 10; // of a frame's 16, so that typing and scrolling stay smooth

/** Work for the next frames, newest first, a little at a time. One for the whole page. */
export class FrameQueue {
  /** @type {Set<(deadline: number) => boolean>} */
  #tasks = new Set();
  #isAsked = false;

  /** @param {(deadline: number) => boolean} task Works until `deadline` (`performance.now()`); true when some is left. */
  add(task) {
    this.#tasks.delete(task);
    this.#tasks.add(task);
    this.#ask();
  }

  #ask() {
    if (this.#isAsked || !this.#tasks.size) return;
    this.#isAsked = true;
    requestAnimationFrame(() => this.#run());
  }

  #run() {
    this.#isAsked = false;
    const deadline = performance.now() + BUDGET_MS;
    for (const task of [...this.#tasks].reverse()) {
      if (performance.now() >= deadline) break;
      if (!task(deadline)) this.#tasks.delete(task);
    }
    this.#ask();
  }
}
