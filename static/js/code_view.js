// @ts-check
import { copyText } from "./clipboard.js";
import { element, button } from "./element.js";

const MAX_COLOURED = 40_000; // characters; longer code stays plain
const MAX_LIVE = 6_000; // while it is being written
const CHUNK_LINES = 80;

/** @typedef {import("./highlighter.js").Highlighter} Highlighter */

/** One block of code: its language, a copy button, and its text, coloured where that is cheap. */
export class CodeView {
  element;
  #code;
  #language;
  #highlighter;
  #text = "";
  #shown = 0; // characters of `#text` that stand in closed chunks
  /** @type {HTMLElement | null} */
  #chunk = null;

  /** @param {{info: string, highlighter: Highlighter}} parts `info` is what the author wrote after the fence. */
  constructor({ info, highlighter }) {
    this.#highlighter = highlighter;
    this.#language = /^[\w+#.-]{1,30}/.exec(info)?.[0].toLowerCase() ?? "";
    this.#code = element("code");
    const copy = button({ icon: "copy", t: "copy_code", className: "quiet", onClick: () => copyText(this.#text, copy) });
    this.element = element("figure", { className: "code" }, [
      element("figcaption", {}, [element("span", { text: this.#language || "text" }), copy]),
      element("pre", { tabIndex: 0 }, [this.#code]),
    ]);
  }

  /**
   * @param {string} text All of it, as far as it has come.
   * @param {boolean} isOpen
   */
  update(text, isOpen) {
    const isSame = text === this.#text;
    const isLonger = text.startsWith(this.#text.slice(-200), Math.max(0, this.#text.length - 200));
    this.#text = text;
    if (text.length <= (isOpen ? MAX_LIVE : MAX_COLOURED)) return this.#colour();
    if (this.#chunk && isLonger) return isSame ? undefined : this.#grow();
    this.#code.replaceChildren();
    this.#chunk = null;
    this.#shown = 0;
    this.#grow();
  }

  #colour() {
    this.#chunk = null;
    this.#highlighter.show(this.#code, this.#text, this.#language);
  }

  /** Plain text in chunks, of which the browser lays out only those in sight. */
  #grow() {
    while (true) {
      const end = this.#chunkEnd();
      this.#chunk ??= this.#code.appendChild(element("span", { className: "chunk" }));
      this.#chunk.textContent = this.#text.slice(this.#shown, end < 0 ? undefined : end);
      if (end < 0) return;
      this.#shown = this.#text[end] === "\n" ? end + 1 : end;
      this.#chunk = null;
      if (this.#shown >= this.#text.length) {
        this.#chunk = this.#code.appendChild(element("span", { className: "chunk" }));
        return;
      }
    }
  }

  /** Where the chunk that begins at `#shown` is full; -1 while it is not. */
  #chunkEnd() {
    let at = this.#shown - 1;
    for (let lines = 0; lines < CHUNK_LINES; lines += 1) {
      at = this.#text.indexOf("\n", at + 1);
      if (at < 0) return this.#text.length - this.#shown > 16_000 ? this.#shown + 16_000 : -1;
      if (at - this.#shown > 16_000) return this.#shown + 16_000;
    }
    return at;
  }
}
