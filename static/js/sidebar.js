// @ts-check
import { button, element } from "./element.js";
import { i18n } from "./i18n.js";

/** @typedef {import("./types.js").ConversationInfo} ConversationInfo */

const SEARCH_DELAY_MS = 180;
const REFRESH_DELAY_MS = 250;
const DAY_MS = 86_400_000;

/** The conversations: newest first by day, searched as one types. */
export class Sidebar {
  #api;
  #notices;
  #list;
  #search;
  #more;
  #onMenu;
  /** @type {Map<string, ConversationInfo>} */
  #known = new Map();
  /** @type {string | null} */
  #next = null;
  /** @type {string | null} */
  #current = null;
  /** @type {Set<string>} */
  #running = new Set();
  /** @type {any} */
  #timer = null;
  #request = 0;

  /**
   * @param {Object} parts
   * @param {import("./api.js").Api} parts.api
   * @param {import("./notices.js").Notices} parts.notices
   * @param {HTMLElement} parts.list
   * @param {HTMLInputElement} parts.search
   * @param {(anchor: HTMLElement, info: ConversationInfo, item: HTMLElement) => void} parts.onMenu
   */
  constructor({ api, notices, list, search, onMenu }) {
    this.#api = api;
    this.#notices = notices;
    this.#list = list;
    this.#search = search;
    this.#onMenu = onMenu;
    this.#more = button({ t: "show_more", className: "quiet more", onClick: () => void this.#load(true) });
    search.addEventListener("input", () => this.#soon(SEARCH_DELAY_MS));
    search.addEventListener("keydown", (event) => {
      if (event.key === "Escape") this.#clearSearch(event);
    });
    new IntersectionObserver(([entry]) => {
      if (entry.isIntersecting && this.#next) void this.#load(true);
    }).observe(this.#more);
  }

  load() {
    return this.#load(false);
  }

  /** @param {string | null} id */
  set current(id) {
    this.#current = id;
    for (const link of this.#list.querySelectorAll("a")) {
      if (link.dataset.id === id) link.setAttribute("aria-current", "page");
      else link.removeAttribute("aria-current");
    }
  }

  /** @param {Set<string>} ids Conversations in which an answer is being written. */
  set running(ids) {
    this.#running = ids;
    for (const link of this.#list.querySelectorAll("a")) link.classList.toggle("is-running", ids.has(link.dataset.id ?? ""));
  }

  /** @param {{conversation: string, title?: string, deleted?: boolean}} change */
  changed({ conversation, title, deleted }) {
    const known = this.#known.get(conversation);
    if (deleted) this.#known.delete(conversation);
    else if (known && title !== undefined) known.title = title;
    if (deleted || known) this.draw();
    this.#soon(REFRESH_DELAY_MS);
  }

  /** @param {string} id @returns {HTMLElement | null} */
  item(id) {
    return this.#list.querySelector(`.conversation:has(a[data-id="${CSS.escape(id)}"])`);
  }

  /** @param {KeyboardEvent} event */
  #clearSearch(event) {
    event.stopPropagation();
    if (!this.#search.value) return this.#search.blur();
    this.#search.value = "";
    void this.#load(false);
  }

  /** @param {number} delay */
  #soon(delay) {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => void this.#load(false), delay);
  }

  /** @param {boolean} isMore The next page, after what is here. */
  async #load(isMore) {
    const request = (this.#request += 1);
    const query = this.#search.value.trim();
    try {
      const before = (isMore && this.#next) || "";
      const page = await this.#api.conversations({ query, before });
      if (request !== this.#request) return; // the reader has typed on
      if (!isMore) this.#known.clear();
      for (const info of page.conversations) this.#known.set(info.id, info);
      this.#next = page.next;
      this.draw();
    } catch (error) {
      if (request === this.#request && /** @type {any} */ (error).code !== "unreachable") this.#notices.refuse(error);
    }
  }

  /** Also what a name being typed gives way to. */
  draw() {
    const query = this.#search.value.trim();
    const infos = [...this.#known.values()];
    if (!query) infos.sort((a, b) => b.updated_ms - a.updated_ms);
    const nodes = [];
    let heading = "";
    for (const info of infos) {
      const day = query ? "found" : dayWord(info.updated_ms, Date.now());
      if (day !== heading) nodes.push(element("li", { className: "day", t: day }));
      heading = day;
      nodes.push(this.#item(info, query));
    }
    if (!infos.length) nodes.push(element("li", { className: "none", t: query ? "nothing_found" : "no_conversations" }));
    if (this.#next) nodes.push(element("li", {}, [this.#more]));
    const focused = /** @type {HTMLElement | null} */ (document.activeElement)?.dataset.id;
    this.#list.replaceChildren(...nodes);
    if (focused) /** @type {HTMLElement | null} */ (this.#list.querySelector(`a[data-id="${CSS.escape(focused)}"]`))?.focus();
    this.current = this.#current;
    this.running = this.#running;
  }

  /** @param {ConversationInfo} info @param {string} query */
  #item(info, query) {
    const title = element("span", { className: "title", attributes: { dir: "auto" }, text: info.title || i18n.t("untitled") });
    const snippet = query && info.snippet ? element("small", {}, marked(info.snippet, query)) : null;
    const link = element("a", { attributes: { href: `#c=${encodeURIComponent(info.id)}`, "data-id": info.id } }, [title, snippet]);
    link.title = info.title;
    const menu = button({ icon: "dots", tLabel: "conversation_menu", className: "quiet icon-button", attributes: { "aria-haspopup": "menu" }, onClick: () => this.#onMenu(menu, info, item) });
    const item = element("li", { className: "conversation" }, [link, menu]);
    return item;
  }
}

/**
 * @param {number} ms
 * @param {number} now
 */
export function dayWord(ms, now) {
  const today = new Date(now).setHours(0, 0, 0, 0);
  if (ms >= today) return "today";
  if (ms >= today - DAY_MS) return "yesterday";
  return ms >= today - 6 * DAY_MS ? "this_week" : "earlier";
}

/** The text with what was looked for marked. @param {string} text @param {string} query */
function marked(text, query) {
  const at = text.toLowerCase().indexOf(query.toLowerCase());
  if (at < 0) return [text];
  const end = at + query.length;
  return [text.slice(0, at), element("mark", { text: text.slice(at, end) }), text.slice(end)];
}
