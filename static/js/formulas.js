// @ts-check
/** @typedef {import("./sanitizer.js").Sanitizer} Sanitizer */

const OPTIONS = { throwOnError: true, trust: false, strict: "ignore", maxSize: 20, maxExpand: 300 };
const MAX_KEPT = 300;
const STYLE = / style="[^"]*"/g; // for the eye only, and to parse it would breach the policy; KaTeX escapes quotes in text

/** Draws the elements of class `math`. Their source stays on show until the library has come, or where it finds a fault. */
export class Formulas {
  #load;
  #sanitizer;
  /** @type {any} */
  #katex = null;
  #isLoading = false;
  /** @type {Set<HTMLElement>} */
  #waiting = new Set();
  /** @type {Map<string, Node>} Drawn ones, oldest first: the last block of a stream is drawn many times. */
  #drawn = new Map();

  /**
   * @param {Object} parts
   * @param {() => Promise<any>} parts.load Brings KaTeX.
   * @param {Sanitizer} parts.sanitizer
   */
  constructor({ load, sanitizer }) {
    this.#load = load;
    this.#sanitizer = sanitizer;
  }

  /** @param {DocumentFragment} fragment */
  decorate = (fragment) => {
    /** @type {NodeListOf<HTMLElement>} */
    const formulas = fragment.querySelectorAll(".math:not(.math-open)");
    for (const formula of formulas) {
      if (this.#katex) this.#draw(formula);
      else this.#waiting.add(formula);
    }
    if (formulas.length && !this.#katex) void this.#fetch();
  };

  async #fetch() {
    if (this.#isLoading) return;
    this.#isLoading = true;
    try {
      this.#katex = await this.#load();
      for (const formula of this.#waiting) if (formula.isConnected) this.#draw(formula);
    } catch {
      this.#isLoading = false; // the network was away: the next formula asks again
    }
    this.#waiting.clear();
  }

  /** @param {HTMLElement} formula */
  #draw(formula) {
    const tex = formula.textContent ?? "";
    const isBlock = formula.classList.contains("math-block");
    const key = `${isBlock}${tex}`;
    let drawing = this.#drawn.get(key);
    if (!drawing) {
      drawing = this.#make(tex, isBlock) ?? undefined;
      if (!drawing) return formula.classList.add("math-fault");
      this.#drawn.set(key, drawing);
      if (this.#drawn.size > MAX_KEPT) this.#drawn.delete(this.#drawn.keys().next().value ?? "");
    }
    formula.replaceChildren(drawing.cloneNode(true));
    formula.dataset.tex = tex;
  }

  /**
   * What is seen is built as nodes, whose styles a strict policy allows; what is heard comes as MathML.
   * @param {string} tex
   * @param {boolean} isBlock
   */
  #make(tex, isBlock) {
    try {
      const seen = document.createElement("span");
      this.#katex.render(tex, seen, { ...OPTIONS, displayMode: isBlock, output: "html" });
      const heard = this.#katex.renderToString(tex, { ...OPTIONS, displayMode: isBlock, output: "mathml" });
      const drawing = document.createElement("span");
      const spoken = document.createElement("span");
      spoken.className = "math-spoken";
      spoken.append(this.#sanitizer.formula(heard.replace(STYLE, "")));
      drawing.append(spoken, this.#sanitizer.drawing(seen));
      return drawing;
    } catch {
      return null; // half a formula, or not one at all
    }
  }
}
