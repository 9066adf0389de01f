// @ts-check
import { en } from "./words_en.js";
import { zh } from "./words_zh.js";

/** @type {Record<string, Record<string, string>>} */
const LANGUAGES = { en, zh };
const KEPT_AS = "parley.language";

/** @typedef {Record<string, string | number>} Args */

/** The page's words. Marked elements change with the language; nothing has to be built again. */
export class I18n {
  #code = "en";

  /** @param {readonly string[]} preferred As `navigator.languages`. */
  constructor(preferred = []) {
    this.#code = preferred.map((tag) => tag.slice(0, 2).toLowerCase()).find((code) => code in LANGUAGES) ?? "en";
  }

  get code() {
    return this.#code;
  }

  /**
   * @param {string} key
   * @param {Args} [args] For the places in braces.
   */
  t(key, args = {}) {
    const words = LANGUAGES[this.#code][key] ?? LANGUAGES.en[key] ?? key;
    return words.replace(/\{(\w+)\}/g, (whole, name) => String(args[name] ?? whole));
  }

  /** @param {string} key */
  has(key) {
    return key in LANGUAGES.en;
  }

  /** @param {number} value */
  number(value) {
    return new Intl.NumberFormat(this.#code).format(value);
  }

  /** @param {number} value */
  shortNumber(value) {
    return new Intl.NumberFormat(this.#code, { notation: "compact", maximumFractionDigits: 1 }).format(value);
  }

  /** @param {number} ms */
  date(ms) {
    return new Intl.DateTimeFormat(this.#code, { dateStyle: "medium" }).format(ms);
  }

  /**
   * Give an element words that follow the language.
   * @param {HTMLElement} node
   * @param {{t?: string, tLabel?: string, tPlaceholder?: string, tArgs?: Args}} words
   */
  mark(node, { t, tLabel, tPlaceholder, tArgs }) {
    if (t) node.dataset.t = t;
    if (tLabel) node.dataset.tLabel = tLabel;
    if (tPlaceholder) node.dataset.tPlaceholder = tPlaceholder;
    if (tArgs) node.dataset.tArgs = JSON.stringify(tArgs);
    this.#apply(node);
  }

  /** Every marked element below `root`. @param {ParentNode} root */
  apply(root) {
    for (const node of root.querySelectorAll("[data-t], [data-t-label], [data-t-placeholder]")) {
      this.#apply(/** @type {HTMLElement} */ (node));
    }
  }

  /** The language of an earlier visit, over the browser's. */
  recall() {
    const kept = localStorage.getItem(KEPT_AS);
    if (kept && kept in LANGUAGES) this.#code = kept;
  }

  /** @param {string} code */
  use(code) {
    if (!(code in LANGUAGES)) return;
    this.#code = code;
    localStorage.setItem(KEPT_AS, code);
    this.show();
  }

  show() {
    document.documentElement.lang = this.#code === "zh" ? "zh-CN" : "en";
    this.apply(document);
  }

  /** @param {HTMLElement} node */
  #apply(node) {
    const { t, tLabel, tPlaceholder, tArgs } = node.dataset;
    const args = tArgs ? JSON.parse(tArgs) : {};
    if (t) node.textContent = this.t(t, args);
    if (tLabel) {
      node.setAttribute("aria-label", this.t(tLabel, args));
      if (node.localName === "button") node.title = this.t(tLabel, args);
    }
    if (tPlaceholder) node.setAttribute("placeholder", this.t(tPlaceholder, args));
  }
}

export const i18n = new I18n(globalThis.navigator?.languages);
