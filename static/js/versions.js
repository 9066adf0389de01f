// @ts-check
import { button, element } from "./element.js";
import { i18n } from "./i18n.js";

/** `‹ 2 / 3 ›` under a message that has several versions. */
export class Versions {
  element = element("div", { className: "versions", hidden: true, attributes: { role: "group" } });
  #count = element("span", { className: "versions-count" });
  #back;
  #forth;
  /** @type {string[]} */
  #ids = [];
  #index = 0;

  /** @param {(id: string) => void} onShow */
  constructor(onShow) {
    const step = (/** @type {number} */ by) => onShow(this.#ids[this.#index + by]);
    this.#back = button({ icon: "left", tLabel: "version_before", className: "quiet icon-button", onClick: () => step(-1) });
    this.#forth = button({ icon: "right", tLabel: "version_after", className: "quiet icon-button", onClick: () => step(1) });
    this.element.append(this.#back, this.#count, this.#forth);
    i18n.mark(this.element, { tLabel: "versions" });
  }

  /** @param {{index: number, ids: string[]}} versions */
  update({ index, ids }) {
    this.#ids = ids;
    this.#index = index;
    this.element.hidden = ids.length < 2;
    this.#count.textContent = `${index + 1} / ${ids.length}`;
    this.#back.disabled = index <= 0;
    this.#forth.disabled = index >= ids.length - 1;
  }
}
