// @ts-check
import { element } from "./element.js";

const SVG = "http://www.w3.org/2000/svg";

/** @typedef {{text: string, box: number[][], score: number}} Region `box`: four corners in pixels of the picture. */

/** A picture with a box around each stretch of text that was found, and the stretches as a list beside it. */
export class RegionMap {
  figure;
  list = element("ol", { className: "regions" });
  #svg = document.createElementNS(SVG, "svg");

  /** @param {{src: string, alt: string}} picture */
  constructor({ src, alt }) {
    const image = element("img", { attributes: { src, alt, draggable: "false" } });
    this.#svg.setAttribute("aria-hidden", "true"); // the list says the same in words
    this.#svg.setAttribute("preserveAspectRatio", "none");
    this.figure = element("div", { className: "region-map" }, [image]);
    this.figure.append(this.#svg);
    this.list.addEventListener("keydown", (event) => this.#move(event));
  }

  /** @param {Region[]} regions @param {{width: number, height: number}} size Of the picture the boxes were measured in. */
  show(regions, { width, height }) {
    this.#svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
    const pairs = regions.map(({ text, box }, i) => {
      const shape = document.createElementNS(SVG, "polygon");
      shape.setAttribute("points", box.map(([x, y]) => `${x},${y}`).join(" "));
      const line = element("li", { text, tabIndex: i ? -1 : 0, attributes: { dir: "auto" } });
      return { shape, line };
    });
    for (const { shape, line } of pairs) {
      const mark = (/** @type {boolean} */ isMarked) => {
        shape.classList.toggle("is-marked", isMarked);
        line.classList.toggle("is-marked", isMarked);
      };
      for (const node of [shape, line]) {
        node.addEventListener("pointerenter", () => mark(true));
        node.addEventListener("pointerleave", () => mark(false));
      }
      line.addEventListener("focus", () => mark(true));
      line.addEventListener("blur", () => mark(false));
      shape.addEventListener("click", () => line.focus());
    }
    this.#svg.replaceChildren(...pairs.map(({ shape }) => shape));
    this.list.replaceChildren(...pairs.map(({ line }) => line));
  }

  /** The list is one stop of the Tab key; arrows go from line to line. @param {KeyboardEvent} event */
  #move(event) {
    const here = document.activeElement;
    const to = event.key === "ArrowDown" ? here?.nextElementSibling : event.key === "ArrowUp" ? here?.previousElementSibling : null;
    if (!(to instanceof HTMLElement) || !(here instanceof HTMLElement)) return;
    event.preventDefault();
    here.tabIndex = -1;
    to.tabIndex = 0;
    to.focus();
  }
}
