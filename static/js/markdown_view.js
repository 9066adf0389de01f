// @ts-check
import { BlockSplitter } from "./block_splitter.js";
import { CodeView } from "./code_view.js";
import { element } from "./element.js";

/** @typedef {import("./block_splitter.js").Block} Block */
/** @typedef {import("./markdown.js").Markdown} Markdown */
/** @typedef {import("./highlighter.js").Highlighter} Highlighter */
/** @typedef {import("./frame_queue.js").FrameQueue} FrameQueue */
/** @typedef {{markdown: Markdown, highlighter: Highlighter, frames: FrameQueue}} Tools */

const REST = 3; // a block that took long to draw is left alone for so many times as long
const MANY_BLOCKS = 40;

/** One answer on the page. Text comes in pieces; each frame draws only the blocks that changed, which is the last one. */
export class MarkdownView {
  element = element("div", { className: "markdown" });
  #tools;
  #splitter = new BlockSplitter();
  /** @type {{element: HTMLElement, code?: CodeView}[]} */
  #views = [];
  #env = {};
  #drawn = 0; // blocks before this one are up to date
  #notBefore = 0;

  /** @param {Tools} tools */
  constructor(tools) {
    this.#tools = tools;
  }

  /** @param {string} text */
  append(text) {
    this.#splitter.push(text);
    this.#changed();
  }

  /** No more text comes: the last block is settled. */
  finish() {
    this.#splitter.finish();
    this.#notBefore = 0;
    this.#changed();
  }

  /** @param {string} text All of the answer, instead of what was there. */
  replace(text) {
    this.#splitter = new BlockSplitter();
    this.#env = {};
    this.#drawn = 0;
    this.#splitter.push(text);
    this.#changed();
  }

  /**
   * Draw what changed, until `deadline`.
   * @param {number} deadline
   * @returns {boolean} True when some is left.
   */
  draw = (deadline) => {
    const { blocks } = this.#splitter;
    if (performance.now() < this.#notBefore) return true;
    while (this.#views.length > blocks.length) this.#views.pop()?.element.remove();
    while (this.#drawn < blocks.length) {
      const started = performance.now();
      this.#drawBlock(this.#drawn);
      const now = performance.now();
      if (blocks[this.#drawn].isOpen) {
        this.#notBefore = now - started > 4 ? now + REST * (now - started) : 0;
      }
      this.#drawn += 1;
      if (now >= deadline) break;
    }
    this.element.classList.toggle("long", blocks.length > MANY_BLOCKS);
    return this.#drawn < blocks.length;
  };

  #changed() {
    this.#drawn = Math.min(this.#drawn, this.#splitter.firstChanged);
    this.#splitter.firstChanged = this.#splitter.blocks.length;
    this.#tools.frames.add(this.draw);
  }

  /** @param {number} index */
  #drawBlock(index) {
    const block = this.#splitter.blocks[index];
    let view = this.#views[index];
    if (!view || (block.kind === "code") !== !!view.code) {
      const fresh = this.#makeView(block);
      if (view) view.element.replaceWith(fresh.element);
      else this.element.append(fresh.element);
      this.#views[index] = view = fresh;
    }
    const source = block.source + block.partial;
    if (view.code) view.code.update(block.isOpen ? source : source.replace(/\n$/, ""), block.isOpen);
    else view.element.replaceChildren(this.#tools.markdown.fragment(source, this.#env));
  }

  /** @param {Block} block */
  #makeView({ kind, info }) {
    if (kind === "flow") return { element: element("div", { className: "block" }) };
    const code = new CodeView({ info, highlighter: this.#tools.highlighter });
    return { element: element("div", { className: "block" }, [code.element]), code };
  }
}
