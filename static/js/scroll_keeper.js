// @ts-check

const NEAR_PX = 48;

/** Keeps the newest text in sight, until the reader scrolls up; then leaves the page where the reader put it. */
export class ScrollKeeper {
  #isPinned = true;
  #lastTop = 0;
  #scroller;
  #onChange;

  /**
   * @param {Object} parts
   * @param {HTMLElement} parts.scroller
   * @param {HTMLElement} parts.content Grows inside it.
   * @param {(isPinned: boolean) => void} parts.onChange
   */
  constructor({ scroller, content, onChange }) {
    this.#scroller = scroller;
    this.#onChange = onChange;
    scroller.addEventListener("scroll", () => this.#scrolled(), { passive: true });
    scroller.addEventListener("wheel", (event) => event.deltaY < 0 && this.#letGo(), { passive: true });
    const follow = new ResizeObserver(() => this.#isPinned && this.#toEnd());
    follow.observe(content);
    follow.observe(scroller);
  }

  /** Go to the newest text and stay there. */
  pin() {
    this.#set(true);
    this.#toEnd();
  }

  #toEnd() {
    this.#scroller.scrollTop = this.#scroller.scrollHeight;
    this.#lastTop = this.#scroller.scrollTop;
  }

  #scrolled() {
    const { scrollTop, scrollHeight, clientHeight } = this.#scroller;
    const isAtEnd = scrollHeight - scrollTop - clientHeight < NEAR_PX;
    if (isAtEnd && scrollTop >= this.#lastTop) this.#set(true);
    else if (scrollTop < this.#lastTop - 2 && !isAtEnd) this.#set(false);
    this.#lastTop = scrollTop;
  }

  #letGo() {
    const { scrollHeight, clientHeight } = this.#scroller;
    if (scrollHeight > clientHeight) this.#set(false);
  }

  /** @param {boolean} isPinned */
  #set(isPinned) {
    if (isPinned === this.#isPinned) return;
    this.#isPinned = isPinned;
    this.#onChange(isPinned);
  }
}
