// @ts-check

const NAME = "unheard";
const LETTER = /[\p{L}\p{N}]/u;
const UNSEEN = /\]\([^)]*\)|^\s*(?:```|~~~).*$/gm; // a link's address, a fence with its language

/**
 * Grey what of an answer was not heard. Letters are counted, as everything else of its Markdown may not be on show; where
 * the browser has no highlights nothing is greyed, and the words beside the answer say it.
 */
export class Unheard {
  #element;
  /** @type {Range | null} */
  #range = null;

  /** @param {HTMLElement} element Where the answer is drawn. */
  constructor(element) {
    this.#element = element;
  }

  /** @param {string} text All of the answer. @param {number | undefined} heard Code points of it; undefined for all. */
  mark(text, heard) {
    this.clear();
    const highlights = typeof CSS === "undefined" ? undefined : CSS.highlights;
    if (heard === undefined || !highlights || !this.#element.firstChild) return;
    let left = lettersIn(Array.from(text).slice(0, heard).join("").replace(UNSEEN, ""));
    const walker = document.createTreeWalker(this.#element, NodeFilter.SHOW_TEXT);
    for (let node = walker.nextNode(); node; node = walker.nextNode()) {
      const value = node.nodeValue ?? "";
      const count = lettersIn(value);
      if (count <= left) {
        left -= count;
        continue;
      }
      this.#range = new Range();
      this.#range.setStart(node, placeAfter(value, left));
      this.#range.setEndAfter(/** @type {Node} */ (this.#element.lastChild));
      if (!highlights.has(NAME)) highlights.set(NAME, new Highlight());
      highlights.get(NAME)?.add(this.#range);
      return;
    }
  }

  clear() {
    if (this.#range) CSS.highlights.get(NAME)?.delete(this.#range);
    this.#range = null;
  }
}

/** @param {string} text */
function lettersIn(text) {
  let count = 0;
  for (const letter of text) if (LETTER.test(letter)) count += 1;
  return count;
}

/** @param {string} text @param {number} letters */
function placeAfter(text, letters) {
  let [at, left] = [0, letters];
  for (const letter of text) {
    if (left === 0) break;
    if (LETTER.test(letter)) left -= 1;
    at += letter.length;
  }
  return at;
}
