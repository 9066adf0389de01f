// @ts-check
/** @typedef {import("./sanitizer.js").Sanitizer} Sanitizer */

/** Colours code once its library has come; until then, and for unknown languages, code is plain text. */
export class Highlighter {
  #load;
  #sanitizer;
  /** @type {any} */
  #library = null;
  #isLoading = false;
  /** @type {Map<HTMLElement, [string, string]>} */
  #waiting = new Map();

  /**
   * @param {Object} parts
   * @param {() => Promise<any>} parts.load Brings highlight.js.
   * @param {Sanitizer} parts.sanitizer
   */
  constructor({ load, sanitizer }) {
    this.#load = load;
    this.#sanitizer = sanitizer;
  }

  /**
   * @param {HTMLElement} code
   * @param {string} text
   * @param {string} language
   */
  show(code, text, language) {
    if (!language) return void (code.textContent = text);
    if (!this.#library) {
      code.textContent = text;
      this.#waiting.set(code, [text, language]);
      void this.#fetch();
      return;
    }
    if (!this.#library.getLanguage(language)) return void (code.textContent = text);
    const { value } = this.#library.highlight(text, { language, ignoreIllegals: true });
    code.replaceChildren(this.#sanitizer.fragment(value));
  }

  async #fetch() {
    if (this.#isLoading) return;
    this.#isLoading = true;
    try {
      this.#library = await this.#load();
      for (const [code, [text, language]] of this.#waiting) {
        if (code.isConnected) this.show(code, text, language);
      }
    } catch {
      this.#isLoading = false; // the network was away: the next block asks again
    }
    this.#waiting.clear();
  }
}
