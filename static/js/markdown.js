// @ts-check
import { hostToShow, safeAddress } from "./links.js";
import { mathRules } from "./math_rules.js";

/** @typedef {import("./sanitizer.js").Sanitizer} Sanitizer */

const NESTING = 24; // deeper quotes and lists are shown as text
const MAX_COLUMNS = 64; // so are wider tables

/** Markdown to a document fragment that is safe to show, at any point of a stream. HTML in the source is text. */
export class Markdown {
  #md;
  #sanitizer;
  #decorators;

  /**
   * @param {Object} parts
   * @param {any} parts.markdownit
   * @param {Sanitizer} parts.sanitizer
   * @param {((fragment: DocumentFragment) => void)[]} [parts.decorators] What is done to a fragment afterwards: code
   *   blocks, formulas. They build elements; they never parse the model's text as HTML.
   */
  constructor({ markdownit, sanitizer, decorators = [] }) {
    this.#sanitizer = sanitizer;
    this.#decorators = decorators;
    this.#md = markdownit({ html: false, linkify: true, breaks: true, typographer: false, maxNesting: NESTING });
    this.#md.linkify.set({ fuzzyLink: false, fuzzyEmail: false });
    this.#md.validateLink = (/** @type {string} */ href) => safeAddress(href) !== null;
    this.#md.use(narrowTables);
    this.#md.use(mathRules);
    this.#md.use(pageRules);
  }

  /**
   * @param {string} source
   * @param {object} [env] Shared by the blocks of one answer, so that a link's address may stand in another block.
   */
  fragment(source, env = {}) {
    const fragment = this.#sanitizer.fragment(this.#md.render(source, env));
    fragment.querySelectorAll("a").forEach(dressLink);
    fragment.querySelectorAll("li").forEach(dressTask);
    fragment.querySelectorAll("table").forEach(wrapTable);
    for (const decorate of this.#decorators) decorate(fragment);
    return fragment;
  }
}

/** @typedef {(tokens: any[], i: number, options: any, env: any, self: any) => string} Rule */

/** What this page does differently from markdown-it's defaults. @param {any} md */
function pageRules(md) {
  /** @type {Rule} */
  const heading = (tokens, i, options, _env, self) => {
    tokens[i].tag = `h${Math.min(6, Number(tokens[i].tag[1]) + 2)}`; // h1 is the page's, h2 the speaker's
    return self.renderToken(tokens, i, options);
  };
  /** @type {Rule} */
  const cell = (tokens, i, options, _env, self) => {
    const align = /text-align:(\w+)/.exec(tokens[i].attrGet("style") ?? "")?.[1];
    tokens[i].attrs = align ? [["class", `align-${align}`]] : null; // a style attribute would be blocked
    return self.renderToken(tokens, i, options);
  };
  /** @type {Rule} Nothing is loaded from elsewhere: a picture is a link to it. */
  const image = (tokens, i, options, env, self) => {
    const href = md.utils.escapeHtml(tokens[i].attrGet("src") ?? "");
    const text = md.utils.escapeHtml(self.renderInlineAsText(tokens[i].children ?? [], options, env)) || href;
    return `<a class="picture" href="${href}">${text}</a>`;
  };
  Object.assign(md.renderer.rules, { image, heading_open: heading, heading_close: heading, th_open: cell, td_open: cell });
}

/** @param {any} md */
function narrowTables(md) {
  const [table] = md.block.ruler.getRules(""); // markdown-it's first rule
  /** @type {(state: any, line: number, end: number, silent: boolean) => boolean} */
  const narrow = (state, line, end, silent) => {
    const head = state.src.slice(state.bMarks[line], state.eMarks[line]);
    return head.split("|", MAX_COLUMNS + 3).length <= MAX_COLUMNS + 2 && table(state, line, end, silent);
  };
  md.block.ruler.at("table", narrow, { alt: ["paragraph", "reference"] });
}

/** @param {HTMLAnchorElement} link */
function dressLink(link) {
  const url = safeAddress(link.getAttribute("href") ?? "");
  if (!url) return link.replaceWith(...link.childNodes);
  link.rel = "noopener noreferrer";
  link.target = "_blank";
  link.title = url.href;
  const host = hostToShow(url, link.textContent ?? "");
  if (!host) return;
  const note = link.ownerDocument.createElement("span");
  note.className = "real-host";
  note.textContent = `(${host})`;
  link.append(note);
}

/** `- [x] done` as a box. @param {HTMLLIElement} item */
function dressTask(item) {
  const first = item.firstElementChild?.tagName === "P" && !item.firstChild?.textContent?.trim() ? item.firstElementChild : item;
  const text = first.firstChild;
  const mark = text?.nodeType === 3 ? /^\s*\[([ xX])\] /.exec(text.nodeValue ?? "") : null;
  if (!text || !mark) return;
  text.nodeValue = (text.nodeValue ?? "").slice(mark[0].length);
  const box = item.ownerDocument.createElement("span");
  box.className = mark[1] === " " ? "task" : "task task-done";
  box.setAttribute("role", "img");
  box.setAttribute("aria-label", mark[1] === " " ? "☐" : "☑");
  item.classList.add("has-task");
  first.prepend(box);
}

/** A wide table scrolls by itself, by keyboard too. @param {HTMLTableElement} table */
function wrapTable(table) {
  const wrap = table.ownerDocument.createElement("div");
  wrap.className = "table-wrap";
  wrap.tabIndex = 0;
  table.replaceWith(wrap);
  wrap.append(table);
}
